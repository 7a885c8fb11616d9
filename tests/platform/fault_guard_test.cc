#include "platform/fault_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "platform/file.h"
#include "platform/pages.h"
#include "platform/thread.h"
#include "temp_folder.h"

namespace spanflow::platform {
namespace {

using testing::TempFolder;
using testing::TinyDisk;

// A mapping of `pages` pages of a new file, every byte 'x'.
class Mapping {
 public:
  Mapping(const TempFolder& folder, const std::string& name, int pages, bool is_private = false,
          int64_t skip = 0)
      : file_(*File::Open(
            folder.Write(name, std::string(static_cast<size_t>(pages * PageSize()), 'x')),
            OpenMode::kReadWrite)) {
    Map(pages, is_private, skip);
  }
  // The same over an open file of any contents.
  Mapping(File file, int pages) : file_(std::move(file)) { Map(pages, false, 0); }
  ~Mapping() {
    guard.Unwatch();
    munmap(base_, nbytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  volatile char& At(int page, int64_t byte = 0) const {
    return reinterpret_cast<volatile char*>(base_)[page * PageSize() + byte];
  }
  void Truncate(int64_t nbytes) { ASSERT_EQ(ftruncate(file_.descriptor(), nbytes), 0); }
  std::byte* base() const { return base_; }

  GuardedMapping guard;

 private:
  void Map(int pages, bool is_private, int64_t skip) {
    nbytes_ = static_cast<size_t>(pages * PageSize());
    base_ =
        static_cast<std::byte*>(mmap(nullptr, nbytes_, PROT_READ | PROT_WRITE,
                                     is_private ? MAP_PRIVATE : MAP_SHARED, file_.descriptor(), 0));
    // As an array would: from some byte on, which need not begin a page.
    const base::Status status = guard.Watch({base_ + skip, static_cast<int64_t>(nbytes_) - skip,
                                             true, is_private, file_.descriptor(), skip});
    if (!status.ok()) throw std::runtime_error(status.message());
  }

  File file_;
  std::byte* base_ = nullptr;
  size_t nbytes_ = 0;
};

// A mapping that nobody watches and whose second page is gone.
volatile char* Unguarded(const TempFolder& folder) {
  const File file =
      *File::Open(folder.Write("unguarded", std::string(static_cast<size_t>(2 * PageSize()), 'u')),
                  OpenMode::kReadWrite);
  void* base = mmap(nullptr, static_cast<size_t>(2 * PageSize()), PROT_READ, MAP_SHARED,
                    file.descriptor(), 0);
  if (ftruncate(file.descriptor(), 10) != 0) abort();
  return static_cast<volatile char*>(base) + PageSize();
}

TEST(FaultGuard, TruncatedTailReadsAsZerosAndCountsOnce) {
  const TempFolder folder;
  Mapping mapping(folder, "a", 1000, false, /*skip=*/128);
  Mapping other(folder, "b", 4);
  EXPECT_EQ(mapping.At(999), 'x');
  mapping.Truncate(2 * PageSize());
  EXPECT_EQ(mapping.guard.faults(), 0u);
  for (int page = 2; page < 1000; ++page) ASSERT_EQ(mapping.At(page), 0) << page;
  EXPECT_EQ(mapping.guard.faults(), 1u);
  EXPECT_EQ(mapping.At(0), 'x');
  EXPECT_EQ(mapping.At(1, PageSize() - 1), 'x');
  EXPECT_EQ(other.At(3), 'x');
  EXPECT_EQ(other.guard.faults(), 0u);
}

TEST(FaultGuard, CoversFromTheTouchedPageOnAndThenWhatLiesBefore) {
  const TempFolder folder;
  Mapping mapping(folder, "a", 10);
  mapping.Truncate(PageSize());
  EXPECT_EQ(mapping.At(6), 0);
  mapping.At(7) = 'w';          // the array is writable, and so is what replaced it
  EXPECT_EQ(mapping.At(3), 0);  // must not cover page 7 a second time
  EXPECT_EQ(mapping.At(7), 'w');
  EXPECT_EQ(mapping.guard.faults(), 2u);
  EXPECT_EQ(mapping.At(0), 'x');
}

TEST(FaultGuard, WritesBehindTheEndGoNowhere) {
  const TempFolder folder;
  Mapping mapping(folder, "a", 4);
  mapping.Truncate(PageSize());
  mapping.At(2) = 'w';
  EXPECT_EQ(mapping.guard.faults(), 1u);
  EXPECT_EQ(TempFolder::Read(folder.Path("a")).size(), static_cast<size_t>(PageSize()));
}

TEST(FaultGuard, DamageStaysAfterTheFileGrowsBack) {
  const TempFolder folder;
  Mapping mapping(folder, "a", 4);
  mapping.Truncate(0);
  EXPECT_EQ(mapping.At(1), 0);
  mapping.Truncate(4 * PageSize());
  EXPECT_EQ(mapping.At(1), 0);
  EXPECT_EQ(mapping.guard.faults(), 1u);
}

TEST(FaultGuard, ErrnoSurvives) {
  const TempFolder folder;
  Mapping mapping(folder, "a", 2);
  mapping.Truncate(0);
  errno = 77;
  EXPECT_EQ(mapping.At(1), 0);
  EXPECT_EQ(errno, 77);
}

TEST(FaultGuard, EightThreadsMayFallOverTheEndAtOnce) {
  const TempFolder folder;
  constexpr int kPages = 512, kThreads = 8;
  Mapping mapping(folder, "a", kPages);
  Mapping other(folder, "b", kPages);
  mapping.Truncate(PageSize());
  std::atomic<int> ready{0}, wrong{0};
  std::vector<Thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    auto thread = Thread::Start("toucher", [&, t] {
      ready.fetch_add(1);
      while (ready.load() < kThreads) std::this_thread::yield();
      for (int i = 0; i < kPages - 1; ++i) {
        const int page = 1 + (i * 37 + t * 64) % (kPages - 1);
        wrong += mapping.At(page) != 0;
        wrong += other.At(page) != 'x';
      }
    });
    ASSERT_TRUE(thread.ok());
    threads.push_back(*std::move(thread));
  }
  for (Thread& thread : threads) thread.Join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_GE(mapping.guard.faults(), 1u);
  EXPECT_LE(mapping.guard.faults(), static_cast<uint64_t>(kPages));
  EXPECT_EQ(mapping.At(0), 'x');
  EXPECT_EQ(other.guard.faults(), 0u);
}

// Rows and addresses are reused at once; a handler that came late would lay zeros over memory of
// the next mapping, or over the plain memory that another thread got at that address.
TEST(FaultGuard, MappingsComeAndGoWhileOthersFault) {
  const TempFolder folder;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread plain([&] {
    const auto bytes = static_cast<size_t>(16 * PageSize());
    while (!stop.load()) {
      void* memory =
          mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      std::memset(memory, 7, bytes);
      for (size_t i = 0; i < bytes; i += 512) wrong += static_cast<char*>(memory)[i] != 7;
      munmap(memory, bytes);
    }
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 150; ++i) {
        Mapping mapping(folder, std::to_string(t), 16);
        mapping.Truncate(PageSize());
        wrong += mapping.At(15) != 0 || mapping.At(1) != 0 || mapping.At(0) != 'x';
        wrong += mapping.guard.faults() != 2;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  plain.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(FaultGuard, ManyMappingsAreToldApart) {
  const TempFolder folder;
  std::vector<std::unique_ptr<Mapping>> mappings;
  for (int i = 0; i < 300; ++i) {
    mappings.push_back(std::make_unique<Mapping>(folder, std::to_string(i), 2));
  }
  mappings[123]->Truncate(0);
  EXPECT_EQ(mappings[123]->At(1), 0);
  for (int i = 0; i < 300; ++i)
    EXPECT_EQ(mappings[static_cast<size_t>(i)]->guard.faults(), i == 123);
}

TEST(FaultGuard, AForkedChildIsGuardedToo) {
  const TempFolder folder;
  Mapping mapping(folder, "a", 4);
  mapping.Truncate(PageSize());
  const pid_t child = fork();
  if (child == 0) {
    const bool good = mapping.At(2) == 0 && mapping.guard.faults() == 1;
    mapping.guard.Unwatch();
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(mapping.guard.faults(), 0u);
}

// A hole that cannot be filled because the disk is full: pages before and behind it are good.
TEST(FaultGuard, FullDiskCostsFewFaultsAndKeepsOtherPages) {
  const TinyDisk disk("256k");
  if (!disk.ok()) GTEST_SKIP() << "a small file system can only be mounted by root";
  File file = *File::Open(disk.folder().Write("sparse", "x"), OpenMode::kReadWrite);
  constexpr int kPages = 4096;
  ASSERT_EQ(ftruncate(file.descriptor(), kPages * PageSize()), 0);
  Mapping mapping(std::move(file), kPages);
  for (int page = 0; page < kPages; ++page) mapping.At(page, 1) = 'w';
  EXPECT_GE(mapping.guard.faults(), 1u);
  EXPECT_LE(mapping.guard.faults(), 16u);  // not one for each of the 4,000 pages
  const std::string written = TempFolder::Read(disk.folder().Path("sparse"));
  EXPECT_EQ(written[0], 'x');
  for (int page = 0; page < 32; ++page) {
    EXPECT_EQ(written[static_cast<size_t>(page * PageSize() + 1)], 'w') << page;
  }
}

TEST(FaultGuard, FailedPageOfAPrivateMappingSparesItsNeighbours) {
  const TinyDisk disk("128k");
  if (!disk.ok()) GTEST_SKIP() << "a small file system can only be mounted by root";
  File file = *File::Open(disk.folder().Write("sparse", ""), OpenMode::kReadWrite);
  const int64_t bytes = 64 * PageSize();
  ASSERT_EQ(ftruncate(file.descriptor(), bytes), 0);
  void* base = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE,
                    file.descriptor(), 0);
  auto* at = static_cast<volatile char*>(base);
  at[40 * PageSize()] = 'w';  // a private page; exists nowhere else
  disk.folder().Write("filler", std::string(200000, 'f'));
  GuardedMapping guard;
  ASSERT_TRUE(
      guard.Watch({static_cast<std::byte*>(base), bytes, true, true, file.descriptor(), 0}).ok());
  for (int64_t page = 0; page < 64; ++page) {
    EXPECT_EQ(at[page * PageSize()], page == 40 ? 'w' : 0);
  }
  EXPECT_GE(guard.faults(), 2u);
  guard.Unwatch();
  munmap(base, static_cast<size_t>(bytes));
}

// What must end the process runs in a child. Each starts with SIGBUS as the system gives it.
class FaultGuardDeathTest : public ::testing::Test {
 protected:
  FaultGuardDeathTest() { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }

  static void Start() {
    signal(SIGBUS, SIG_DFL);
    alarm(60);  // a handler that goes round in circles
  }
  static void Install(void (*handler)(int, siginfo_t*, void*), int flags) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    sigaction(SIGBUS, &action, nullptr);
  }
};

// Volatile itself: the store must not be put off beyond the faulting read.
volatile char* volatile expected_address = nullptr;
void ExitWith42(int, siginfo_t* info, void*) { _exit(info->si_addr == expected_address ? 42 : 43); }

TEST_F(FaultGuardDeathTest, ForeignFaultsStillKill) {
  EXPECT_EXIT(
      {
        Start();
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        _exit(*Unguarded(folder));
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, UnwatchedMappingsAreForeign) {
  EXPECT_EXIT(
      {
        Start();
        const TempFolder folder;
        Mapping mapping(folder, "a", 2);
        mapping.guard.Unwatch();
        mapping.Truncate(0);
        _exit(mapping.At(1));
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, KillIsNotMistakenForAFault) {
  EXPECT_EXIT(
      {
        Start();
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        kill(getpid(), SIGBUS);
        _exit(0);
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, ForeignFaultsGoToTheHandlerBeforeUs) {
  EXPECT_EXIT(
      {
        Start();
        Install(ExitWith42, SA_SIGINFO);
        const TempFolder folder;
        Mapping mapping(folder, "a", 2);
        mapping.Truncate(0);
        if (mapping.At(1) != 0 || mapping.guard.faults() != 1) _exit(1);
        expected_address = Unguarded(folder);
        _exit(*expected_address);
      },
      ::testing::ExitedWithCode(42), "");
}

TEST_F(FaultGuardDeathTest, PutsItselfBackInFront) {
  EXPECT_EXIT(
      {
        Start();
        const TempFolder folder;
        Mapping mapping(folder, "a", 2);
        Install(ExitWith42, SA_SIGINFO);
        EnsureFaultGuard();
        mapping.Truncate(0);
        if (mapping.At(1) != 0 || mapping.guard.faults() != 1) _exit(1);
        expected_address = Unguarded(folder);
        _exit(*expected_address);
      },
      ::testing::ExitedWithCode(42), "");
}

TEST_F(FaultGuardDeathTest, WatchingPutsItInFrontAsWell) {
  EXPECT_EXIT(
      {
        Start();
        const TempFolder folder;
        Mapping first(folder, "a", 2);
        Install(ExitWith42, SA_SIGINFO);
        const Mapping second(folder, "b", 2);
        first.Truncate(0);
        _exit(first.At(1) == 0 ? 7 : 1);
      },
      ::testing::ExitedWithCode(7), "");
}

// As faulthandler works: put back what was found, report, raise again.
struct sigaction found;
void ReportOnce(int number, siginfo_t*, void*) {
  static int reports = 0;
  if (++reports > 1) _exit(99);
  sigaction(SIGBUS, &found, nullptr);
  raise(number);
}
void InstallReporter() {
  struct sigaction action = {};
  action.sa_sigaction = ReportOnce;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGBUS, &action, &found);
}

TEST_F(FaultGuardDeathTest, CrashReporterOverUsReportsOnceAndTheProcessDies) {
  EXPECT_EXIT(
      {
        Start();
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        InstallReporter();
        EnsureFaultGuard();
        _exit(*Unguarded(folder));
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, CrashReporterUnderUsReportsOnceAndTheProcessDies) {
  EXPECT_EXIT(
      {
        Start();
        InstallReporter();
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        _exit(*Unguarded(folder));
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, CrashReporterOverAnotherHandlerReachesIt) {
  EXPECT_EXIT(
      {
        Start();
        signal(SIGBUS, [](int) { _exit(42); });
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        InstallReporter();
        EnsureFaultGuard();
        _exit(*Unguarded(folder));
      },
      ::testing::ExitedWithCode(42), "");
}

void Nothing(int, siginfo_t*, void*) {}

TEST_F(FaultGuardDeathTest, HandlerThatMendsNothingDoesNotHang) {
  EXPECT_EXIT(
      {
        Start();
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        Install(Nothing, SA_SIGINFO);
        EnsureFaultGuard();
        _exit(*Unguarded(folder));
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

int calls = 0;
void CountCall(int, siginfo_t*, void*) {
  if (++calls > 1) _exit(99);
}

TEST_F(FaultGuardDeathTest, OneShotHandlerIsCalledOnce) {
  EXPECT_EXIT(
      {
        Start();
        Install(CountCall, SA_SIGINFO | static_cast<int>(SA_RESETHAND));
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        _exit(*Unguarded(folder));
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

volatile char* volatile mended = nullptr;
void Mend(int, siginfo_t*, void*) {
  mmap(const_cast<char*>(mended), static_cast<size_t>(PageSize()), PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

TEST_F(FaultGuardDeathTest, HandlerThatMendsItsOwnMappingKeepsWorking) {
  EXPECT_EXIT(
      {
        Start();
        Install(Mend, SA_SIGINFO);
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        for (int i = 0; i < 50; ++i) {
          mended = Unguarded(folder);
          if (*mended != 0) _exit(1);
          munmap(const_cast<char*>(mended - PageSize()), static_cast<size_t>(2 * PageSize()));
        }
        _exit(7);
      },
      ::testing::ExitedWithCode(7), "");
}

// As libraries look whether memory can be read: the handler jumps out and never returns.
sigjmp_buf way_out;
void JumpOut(int, siginfo_t*, void*) { siglongjmp(way_out, 1); }

bool CanBeRead(const volatile char* address) {
  if (sigsetjmp(way_out, 1) != 0) return false;
  static_cast<void>(*address);
  return true;
}

TEST_F(FaultGuardDeathTest, HandlerThatJumpsOutMayDoSoForEver) {
  EXPECT_EXIT(
      {
        Start();
        Install(JumpOut, SA_SIGINFO);
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        const volatile char* gone = Unguarded(folder);
        for (int i = 0; i < 100; ++i) {
          if (CanBeRead(gone)) _exit(1);
        }
        _exit(7);
      },
      ::testing::ExitedWithCode(7), "");
}

// What the handler left behind when it jumped out is forgotten at the next fault of our own.
TEST_F(FaultGuardDeathTest, RaisingAfterAJumpReachesTheHandler) {
  EXPECT_EXIT(
      {
        Start();
        Install(JumpOut, SA_SIGINFO);
        const TempFolder folder;
        Mapping mapping(folder, "a", 2);
        mapping.Truncate(0);
        if (CanBeRead(Unguarded(folder)) || mapping.At(1) != 0) _exit(1);
        if (sigsetjmp(way_out, 1) != 0) _exit(7);
        raise(SIGBUS);
        _exit(2);
      },
      ::testing::ExitedWithCode(7), "");
}

#if defined(__x86_64__)
// `movzbl (%rdi), %eax` as three bytes: the handler steps over it.
__attribute__((naked, noinline)) int ReadOrSkip(const volatile char*) {
  asm("movzbl (%rdi), %eax\n\tret");
}
void StepOver(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] += 3;
}

TEST_F(FaultGuardDeathTest, HandlerThatMovesTheProgramCounterMayDoSoForEver) {
  EXPECT_EXIT(
      {
        Start();
        Install(StepOver, SA_SIGINFO);
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        const volatile char* gone = Unguarded(folder);
        for (int i = 0; i < 100; ++i) ReadOrSkip(gone);
        _exit(7);
      },
      ::testing::ExitedWithCode(7), "");
}
#endif

void ExitIfUsr1IsBlocked(int, siginfo_t*, void*) {
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  _exit(sigismember(&blocked, SIGUSR1) == 1 ? 7 : 1);
}

TEST_F(FaultGuardDeathTest, HandlersAreToldApartByTheirMasks) {
  EXPECT_EXIT(
      {
        Start();
        Install(ExitIfUsr1IsBlocked, SA_SIGINFO);
        const TempFolder folder;
        const Mapping mapping(folder, "a", 2);
        struct sigaction action = {};
        action.sa_sigaction = ExitIfUsr1IsBlocked;
        action.sa_flags = SA_SIGINFO;
        sigaddset(&action.sa_mask, SIGUSR1);
        sigaction(SIGBUS, &action, nullptr);
        EnsureFaultGuard();
        _exit(*Unguarded(folder));
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(GuardedRange, KnowsTheMappingAroundForeignBytes) {
  const TempFolder folder;
  Mapping mapping(folder, "a", 8, false, /*skip=*/100);
  const GuardedRange inside(mapping.base() + PageSize(), PageSize());
  const GuardedRange empty(mapping.base() + PageSize(), 0);
  const GuardedRange beyond(mapping.base() + PageSize(), 8 * PageSize());
  std::byte local[8] = {};
  EXPECT_TRUE(inside.guarded());
  EXPECT_FALSE(empty.guarded());
  EXPECT_FALSE(beyond.guarded());
  EXPECT_FALSE(GuardedRange(local, 8).guarded());
  EXPECT_EQ(inside.faults(), 0u);
  mapping.Truncate(8 * PageSize() - 1);  // inside the last page: no signal tells
  EXPECT_EQ(inside.faults(), 1u);
  EXPECT_EQ(inside.faults(), 1u);
  mapping.Truncate(PageSize());
  EXPECT_EQ(mapping.At(5), 0);
  EXPECT_EQ(inside.faults(), 2u);
  EXPECT_EQ(mapping.guard.faults(), 2u);
  EXPECT_EQ(empty.faults() + beyond.faults(), 0u);
  mapping.guard.Unwatch();
  EXPECT_EQ(inside.faults(), 0u);  // nobody knows any more
}

}  // namespace
}  // namespace spanflow::platform
