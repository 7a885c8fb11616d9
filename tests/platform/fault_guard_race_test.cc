// Another library that installs its SIGBUS handler while the guard goes in front. The moment is
// made by a sigaction of our own, which the guard of this executable calls.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/fault_guard.h"
#include "platform/file.h"
#include "platform/pages.h"
#include "temp_folder.h"

namespace {

using Sigaction = int(int, const struct sigaction*, struct sigaction*);

int looks = 0;  // at SIGBUS, since the start of the test
int quick_at = 0;

void ExitWith42(int, siginfo_t*, void*) { _exit(42); }

Sigaction* Real() {
  static auto* real = reinterpret_cast<Sigaction*>(dlsym(RTLD_NEXT, "sigaction"));
  return real;
}

}  // namespace

extern "C" int sigaction(int number, const struct sigaction* act, struct sigaction* old) noexcept {
  const int outcome = Real()(number, act, old);
  if (number == SIGBUS && act == nullptr && ++looks == quick_at) {
    struct sigaction other = {};
    other.sa_sigaction = ExitWith42;
    other.sa_flags = SA_SIGINFO;
    Real()(SIGBUS, &other, nullptr);
  }
  return outcome;
}

namespace spanflow::platform {
namespace {

void FaultAfterARace(int look) {
  alarm(60);
  signal(SIGBUS, SIG_DFL);
  const testing::TempFolder folder;
  const auto bytes = static_cast<size_t>(PageSize());
  const File file = *File::Open(folder.Write("a", std::string(bytes, 'x')), OpenMode::kReadWrite);
  const auto map = [&] {
    return mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  };
  void* ours = map();
  void* theirs = map();
  looks = 0;
  quick_at = look;
  GuardedMapping guard;
  const base::Status status =
      guard.Watch({static_cast<std::byte*>(ours), PageSize(), false, false, file.descriptor(), 0});
  if (!status.ok() || looks < quick_at) _exit(1);
  EnsureFaultGuard();
  if (ftruncate(file.descriptor(), 0) != 0) _exit(2);
  if (*static_cast<volatile char*>(ours) != 0 || guard.faults() != 1) _exit(3);
  _exit(*static_cast<volatile char*>(theirs));
}

TEST(FaultGuardRaceDeathTest, AHandlerInstalledInBetweenIsNotLost) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(FaultAfterARace(1), ::testing::ExitedWithCode(42), "");
  EXPECT_EXIT(FaultAfterARace(2), ::testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace spanflow::platform
