#include "platform/fault_guard.h"

#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "platform/fault_table.h"
#include "platform/os_error.h"
#include "platform/thread.h"

namespace spanflow::platform {
namespace {

using base::Status;

void OnSigbus(int signal, siginfo_t* info, void* context);

// A handler that ours was laid over. Immutable once its index is published.
struct Previous {
  struct sigaction action;
  std::atomic<bool> spent{false};  // SA_RESETHAND: it wants to be called only once
};
constexpr int kMaxPrevious = 16;  // different ones; a process has one or two
Previous previous[kMaxPrevious];
constinit std::atomic<int> previous_count{0};
constinit std::atomic<int> latest{-1};  // the one that ours replaced last; 0 is the first of all
constinit std::atomic<bool> installing{false};

// The thread that last handed a signal on, and how far down it went: id * 4 + step.
constinit std::atomic<uint64_t> passing_on{0};
// The same fault by the same thread, again and again, although the handler returned each time and
// left everything as it was, means that no handler mends it.
constinit std::atomic<uint64_t> last_fault{0};
constinit std::atomic<int> repeats{0};
constexpr int kMostRepeats = 16;

bool IsOurs(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == OnSigbus;
}

// A page behind a mapping could not be had; not a misaligned access, and not kill().
bool IsMissingPage(const siginfo_t& info) {
  return info.si_code == BUS_ADRERR || info.si_code == BUS_OBJERR || info.si_code == BUS_MCEERR_AR;
}

uint64_t ThisThread() { return static_cast<uint64_t>(syscall(SYS_gettid)); }

// The process is to end by SIGBUS, as it would without us. A fault happens again by itself.
void DieByDefault(bool raised) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGBUS, &action, nullptr);
  if (raised) syscall(SYS_tgkill, getpid(), ThisThread(), SIGBUS);
}

void CallPrevious(Previous& handler, int signal, siginfo_t* info, void* context) {
  const struct sigaction& action = handler.action;
  const bool raised = info->si_code <= 0;
  const bool has_info = (action.sa_flags & SA_SIGINFO) != 0;
  const bool used_up =
      (action.sa_flags & static_cast<int>(SA_RESETHAND)) != 0 && handler.spent.exchange(true);
  if (!has_info && action.sa_handler == SIG_IGN && raised) return;
  if (used_up || (!has_info && (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN))) {
    DieByDefault(raised);
    return;
  }
  sigset_t mask = action.sa_mask, before;
  if ((action.sa_flags & SA_NODEFER) == 0) sigaddset(&mask, signal);
  pthread_sigmask(SIG_BLOCK, &mask, &before);
  if (has_info) {
    action.sa_sigaction(signal, info, context);
  } else {
    action.sa_handler(signal);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Where the interrupted code goes on when the handler returns.
uintptr_t ResumesAt(const void* context) {
  const mcontext_t& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<uintptr_t>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return machine.pc;
#else
  static_cast<void>(machine);
  return 0;
#endif
}

bool NobodyMendsIt(uint64_t thread, const siginfo_t& info) {
  const uint64_t fault = reinterpret_cast<uintptr_t>(info.si_addr) ^ (thread << 40);
  if (last_fault.exchange(fault) != fault) repeats.store(0);
  return repeats.fetch_add(1) >= kMostRepeats;
}

// Hands a signal that is not ours to whoever had SIGBUS before. Crash reporters put back what they
// found and raise the signal once more; what they found may be us. So a signal that a thread raises
// after its fault was handed on goes one further down: the latest handler, the first of all, the
// default.
void PassOn(int signal, siginfo_t* info, void* context) {
  const bool raised = info->si_code <= 0;
  const uint64_t thread = ThisThread();
  const uint64_t mark = passing_on.load();
  const bool again = info->si_code == SI_TKILL && info->si_pid == getpid() && mark / 4 == thread;
  const uint64_t step = again ? mark % 4 + 1 : 0;
  const int newest = latest.load(std::memory_order_acquire);
  const bool all_tried = newest < 0 || step > 1 || (step == 1 && newest == 0);
  if (all_tried) {
    DieByDefault(raised);
    return;
  }
  const uintptr_t resumes_at = ResumesAt(context);
  passing_on.store(thread * 4 + step);
  // It need not return: a handler may jump out, as probes for readable memory do.
  CallPrevious(previous[step == 0 ? newest : 0], signal, info, context);
  if (raised) {
    passing_on.store(mark);
  } else if (ResumesAt(context) != resumes_at ||
             IsPagePresent(reinterpret_cast<uintptr_t>(info->si_addr))) {
    passing_on.store(0);  // it was mended: nothing to report, and the next fault is a new one
    last_fault.store(0);
  } else if (NobodyMendsIt(thread, *info)) {
    DieByDefault(raised);
  }
}

// This thread faults while it runs code of its own: what it handed on before is over, even if the
// handler jumped out and never returned.
void ForgetHandedOn() {
  uint64_t mark = passing_on.load();
  if (mark != 0 && mark / 4 == ThisThread()) passing_on.compare_exchange_strong(mark, 0);
}

void OnSigbus(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  if (IsMissingPage(*info) && CoverMissingPages(reinterpret_cast<uintptr_t>(info->si_addr))) {
    ForgetHandedOn();
  } else {
    PassOn(signal, info, context);
  }
  errno = saved;
}

bool IsSame(const struct sigaction& a, const struct sigaction& b) {
  if (a.sa_sigaction != b.sa_sigaction || a.sa_flags != b.sa_flags) return false;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (sigismember(&a.sa_mask, signal) != sigismember(&b.sa_mask, signal)) return false;
  }
  return true;
}

// Keeps what was installed before us; the same handler found again takes its old place.
void Remember(const struct sigaction& action) {
  const int count = previous_count.load(std::memory_order_relaxed);
  for (int i = 0; i < count; ++i) {
    if (IsSame(previous[i].action, action)) {
      previous[i].spent.store(false);
      latest.store(i, std::memory_order_release);
      return;
    }
  }
  if (count == kMaxPrevious) return;
  previous[count].action = action;
  previous_count.store(count + 1, std::memory_order_relaxed);
  latest.store(count, std::memory_order_release);
}

Status InstallInFront() {
  struct sigaction current = {};
  if (sigaction(SIGBUS, nullptr, &current) != 0) return OsError(errno, {}, "reading SIGBUS");
  if (IsOurs(current)) return Status::Ok();
  while (installing.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  Status status;
  sigaction(SIGBUS, nullptr, &current);
  if (!IsOurs(current)) {
    Remember(current);
    struct sigaction ours = {}, replaced = {};
    ours.sa_sigaction = OnSigbus;
    // On the alternate stack where there is one; not blocked while it runs, because a previous
    // handler may raise the signal again and expects to end the process with it.
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    if (sigaction(SIGBUS, &ours, &replaced) != 0) {
      status = OsError(errno, {}, "installing SIGBUS");
    } else if (!IsOurs(replaced) && !IsSame(replaced, current)) {
      Remember(replaced);  // somebody else was quicker than us, but not quick enough to be in front
    }
  }
  installing.store(false, std::memory_order_release);
  return status;
}

void AfterForkInChild() {
  ForgetVisitors();
  passing_on.store(0);
  installing.store(false);
}

}  // namespace

Status GuardedMapping::Watch(const MappingInfo& mapping) {
  static const bool hooked = (OnFork(nullptr, nullptr, AfterForkInChild), true);
  static_cast<void>(hooked);
  SPANFLOW_TRY(InstallInFront());
  row_ = TakeRow(mapping, &faults_);
  if (row_ >= 0) return Status::Ok();
  return OsError(ENOMEM, {}, std::to_string(kFaultRows) + " files are mapped already");
}

void GuardedMapping::Unwatch() {
  if (row_ >= 0) GiveBackRow(std::exchange(row_, -1));
}

void GuardedMapping::CheckFileEnd() const {
  if (row_ >= 0) platform::CheckFileEnd(row_);
}

GuardedRange::GuardedRange(const std::byte* address, int64_t nbytes)
    : address_(reinterpret_cast<uintptr_t>(address)), row_(FindRow(address_, nbytes)) {}

uint64_t GuardedRange::faults() const {
  if (!guarded()) return 0;
  EnsureFaultGuard();
  return FaultsAt(row_, address_);
}

std::string GuardedRange::path() const {
  return guarded() ? PathAt(row_, address_) : std::string();
}

void EnsureFaultGuard() {
  if (latest.load(std::memory_order_acquire) < 0) return;
  // It was installed before; the system has no reason to refuse now, and there is no one to tell.
  static_cast<void>(InstallInFront());
}

}  // namespace spanflow::platform
