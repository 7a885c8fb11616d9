#include "platform/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace spanflow::platform {
namespace {

TEST(Thread, RunsNamedAndWithTheProgramsSignalsBlocked) {
  char name[16] = {};
  sigset_t inside, before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  auto thread = Thread::Start("a-name-of-more-than-15-bytes", [&] {
    pthread_getname_np(pthread_self(), name, sizeof(name));
    pthread_sigmask(SIG_SETMASK, nullptr, &inside);
  });
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  ASSERT_TRUE(thread.ok());
  thread->Join();
  EXPECT_STREQ(name, "a-name-of-more-");
  for (const int other : {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1, SIGPROF}) {
    EXPECT_EQ(sigismember(&inside, other), 1) << other;
  }
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    EXPECT_EQ(sigismember(&inside, own), 0) << own;
  }
  for (int number = 1; number < 32; ++number) {
    EXPECT_EQ(sigismember(&before, number), sigismember(&after, number)) << number;
  }
}

TEST(PeakResident, GrowsWithTouchedMemory) {
  const int64_t before = PeakResidentBytes();
  EXPECT_GT(before, 1 << 20);
  constexpr size_t kBytes = 64 << 20;
  const auto memory = std::make_unique_for_overwrite<char[]>(kBytes);
  volatile char* touched = memory.get();  // or the compiler leaves all of it out
  for (size_t i = 0; i < kBytes; i += 1024) touched[i] = 1;
  EXPECT_GE(PeakResidentBytes(), before + static_cast<int64_t>(kBytes) * 3 / 4);
}

int in_parent = 0, in_child = 0, prepared = 0;

TEST(OnFork, HooksRunInBothProcesses) {
  OnFork([] { ++prepared; }, [] { ++in_parent; }, [] { ++in_child; });
  OnFork(nullptr, nullptr, nullptr);
  const pid_t child = fork();
  if (child == 0) _exit(prepared == 1 && in_child == 1 && in_parent == 0 ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(prepared, 1);
  EXPECT_EQ(in_parent, 1);
  EXPECT_EQ(in_child, 0);
}

}  // namespace
}  // namespace spanflow::platform
