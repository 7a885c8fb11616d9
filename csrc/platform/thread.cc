#include "platform/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <system_error>

#include "platform/os_error.h"

namespace spanflow::platform {
namespace {

// Everything but what a thread's own instructions raise: blocked, those would end the process, and
// the fault guard would never see them.
sigset_t SignalsOfOthers() {
  sigset_t set;
  sigfillset(&set);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    sigdelset(&set, own);
  }
  return set;
}

// A new thread starts with its maker's mask, so the maker wears it for a moment.
class BlockedScope {
 public:
  BlockedScope() {
    const sigset_t blocked = SignalsOfOthers();
    pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  }
  ~BlockedScope() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedScope(const BlockedScope&) = delete;
  BlockedScope& operator=(const BlockedScope&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

base::Result<Thread> Thread::Start(const std::string& name, std::function<void()> body) {
  const BlockedScope blocked;
  Thread thread;
  try {
    thread.thread_ = std::thread([short_name = name.substr(0, 15), run = std::move(body)] {
      pthread_setname_np(pthread_self(), short_name.c_str());
      run();
    });
  } catch (const std::system_error& refused) {
    return OsError(refused.code().value(), {}, "starting thread " + name);
  }
  return thread;
}

int64_t ThreadCpuTime() {
  timespec time;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 0;
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void PinThisThread(int nth) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  int left = nth % CPU_COUNT(&usable);
  for (size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &usable) || left-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    return;
  }
}

int64_t PeakResidentBytes() {
  // VmHWM counts from the start of this program; getrusage also counts the program that started it.
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kibibytes;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes << 10;
  }
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? int64_t{usage.ru_maxrss} << 10 : 0;
}

void OnFork(void (*prepare)(), void (*parent)(), void (*child)()) {
  pthread_atfork(prepare, parent, child);
}

}  // namespace spanflow::platform
