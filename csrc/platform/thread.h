// Thread: a native thread that takes no signals away from the program.
//
// Owns: the thread until Join or Detach, one of which must come before it is destroyed.
// Threads: thread-compatible. Attached: the new thread is not; the caller must not be while it
// joins. Fails: OSError EAGAIN when the system gives no more threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "base/status.h"

namespace spanflow::platform {

class Thread {
 public:
  Thread() = default;
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&&) noexcept = default;

  // Every signal is blocked in the new thread, so that Ctrl-C and timers reach a thread that can
  // answer them; faults of its own code (SIGSEGV, SIGBUS, …) are not. `name` is cut at 15 bytes.
  static base::Result<Thread> Start(const std::string& name, std::function<void()> body);

  bool joinable() const { return thread_.joinable(); }
  void Join() { thread_.join(); }
  void Detach() { thread_.detach(); }

 private:
  std::thread thread_;
};

// Nanoseconds of processor time that the calling thread has used; what it waited for does not
// count.
int64_t ThreadCpuTime();

// Keeps the calling thread on one of the cores that this process may run on: the `nth`, counted
// around. Does nothing where the system refuses.
void PinThisThread(int nth);

// The most memory that this process ever had resident, in bytes.
int64_t PeakResidentBytes();

// Runs `prepare` before each fork, and `parent` and `child` after it in the two processes; any may
// be null. Hooks stay for ever; prepare hooks run in the reverse order of registration.
void OnFork(void (*prepare)(), void (*parent)(), void (*child)());

}  // namespace spanflow::platform
