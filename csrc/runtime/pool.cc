#include "runtime/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <vector>

#include "platform/thread.h"
#include "platform/topology.h"
#include "runtime/spin.h"

namespace spanflow::runtime {
namespace {

// Work that several threads can enter. It lives on the stack of the caller, who takes it out of the
// pool and waits until nobody is inside before it goes away.
struct Job {
  explicit Job(FunctionRef<void()> entered) : work(entered) {}

  FunctionRef<void()> work;    // returns when nothing is left to begin
  int open = 0;                // helpers that may still come in; under the pool's mutex
  std::atomic<int> inside{0};  // helpers at work
  Job* next = nullptr;         // in the pool's list; under its mutex
};

class Pool {
 public:
  static Pool& Get() { return *Current(); }

  // Runs `job` on the calling thread and on up to `helpers` workers.
  void Run(Job& job, int helpers);

 private:
  static Pool*& Current();
  static Pool* Make();
  static void StartAnew();

  void Offer(Job& job, int helpers);
  void Withdraw(Job& job);
  void AwaitHelpers(Job& job);
  void StartWorkersLocked(int wanted);
  void WorkerMain();
  Job* Claim();
  Job* ClaimLocked();

  std::mutex mutex_;
  std::condition_variable job_offered_;
  std::condition_variable helper_left_;
  Job* jobs_ = nullptr;              // with open places, oldest first
  std::atomic<int> open_places_{0};  // over all jobs; what idle workers look at
  std::atomic<int> waiting_callers_{0};
  int sleeping_ = 0;  // workers in job_offered_
  int spinning_ = 0;  // workers that will look again by themselves
  std::vector<platform::Thread> workers_;
  Pool* before_fork_ = nullptr;
};

Pool*& Pool::Current() {
  static Pool* current = Make();
  return current;
}

// Never destroyed: workers may still use it while the process exits.
Pool* Pool::Make() {
  platform::OnFork([] { Current()->mutex_.lock(); }, [] { Current()->mutex_.unlock(); }, StartAnew);
  return new Pool;
}

// A forked child has only the thread that forked. What the other threads were doing in the pool is
// nobody's any more, so the old one is kept as it was and never touched again.
void Pool::StartAnew() {
  Pool* const pool = new Pool;
  pool->before_fork_ = Current();
  Current() = pool;
}

void Pool::Run(Job& job, int helpers) {
  Offer(job, helpers);
  job.work();
  Withdraw(job);
  AwaitHelpers(job);
}

void Pool::Offer(Job& job, int helpers) {
  int wake;
  {
    const std::lock_guard lock(mutex_);
    StartWorkersLocked(helpers);
    job.open = helpers;
    Job** end = &jobs_;
    while (*end != nullptr) end = &(*end)->next;
    *end = &job;
    open_places_.fetch_add(helpers, std::memory_order_relaxed);
    wake = std::min(helpers - spinning_, sleeping_);
  }
  for (int i = 0; i < wake; ++i) job_offered_.notify_one();
}

void Pool::Withdraw(Job& job) {
  const std::lock_guard lock(mutex_);
  if (job.open == 0) return;
  open_places_.fetch_sub(job.open, std::memory_order_relaxed);
  job.open = 0;
  Job** link = &jobs_;
  while (*link != &job) link = &(*link)->next;
  *link = job.next;
}

void Pool::AwaitHelpers(Job& job) {
  const auto all_left = [&job] { return job.inside.load() == 0; };
  if (Spin(all_left)) return;
  waiting_callers_.fetch_add(1);
  {
    std::unique_lock lock(mutex_);
    helper_left_.wait(lock, all_left);
  }
  waiting_callers_.fetch_sub(1);
}

void Pool::StartWorkersLocked(int wanted) {
  while (static_cast<int>(workers_.size()) < wanted) {
    auto worker = platform::Thread::Start("spanflow-pool", [this] { WorkerMain(); });
    if (!worker.ok()) return;  // no more threads to be had: the callers do the work
    workers_.push_back(*std::move(worker));
  }
}

void Pool::WorkerMain() {
  for (;;) {
    Job* job = Claim();
    job->work();
    // The last touch of the job: its caller may be gone right after.
    const bool last = job->inside.fetch_sub(1) == 1;
    if (last && waiting_callers_.load() > 0) {
      { const std::lock_guard lock(mutex_); }  // a caller is either before its check or asleep
      helper_left_.notify_all();
    }
  }
}

// A job with an open place, entered. Looks for a moment, then sleeps.
Job* Pool::Claim() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (Job* job = ClaimLocked()) return job;
    ++spinning_;
    lock.unlock();
    Spin([this] { return open_places_.load(std::memory_order_relaxed) > 0; });
    lock.lock();
    --spinning_;
    if (Job* job = ClaimLocked()) return job;
    ++sleeping_;
    job_offered_.wait(lock);
    --sleeping_;
  }
}

Job* Pool::ClaimLocked() {
  Job* job = jobs_;
  if (job == nullptr) return nullptr;
  job->inside.fetch_add(1, std::memory_order_relaxed);
  open_places_.fetch_sub(1, std::memory_order_relaxed);
  if (--job->open == 0) jobs_ = job->next;
  return job;
}

// What the environment asks for, or the usable cores; spanflow/_settings.py warns of a value that
// cannot be followed.
int DefaultNumThreads() {
  if (const char* text = std::getenv("SPANFLOW_NUM_THREADS")) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && n >= 1) {
      return static_cast<int>(std::min<long>(n, kMaxThreads));
    }
  }
  return std::clamp(platform::UsableCores(), 1, kMaxThreads);
}

std::atomic<int>& ThreadLimit() {
  static std::atomic<int> limit{DefaultNumThreads()};  // trivially destroyed
  return limit;
}

// One ParallelFor: hands out runs of indices and keeps the first exception.
class Loop {
 public:
  Loop(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> body)
      : runs_((n - 1) / grain + 1), n_(n), grain_(grain), body_(body) {}

  int64_t runs() const { return runs_; }

  void Work() {
    for (;;) {
      const int64_t run = next_.fetch_add(1, std::memory_order_relaxed);
      if (run >= runs_) return;
      const int64_t begin = run * grain_;
      try {
        body_(begin, run == runs_ - 1 ? n_ : begin + grain_);
      } catch (...) {
        next_.store(runs_, std::memory_order_relaxed);
        if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
      }
    }
  }

  // After all threads have left.
  void Rethrow() {
    if (error_) std::rethrow_exception(std::move(error_));
  }

 private:
  std::atomic<int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  const int64_t runs_;
  const int64_t n_;
  const int64_t grain_;
  const FunctionRef<void(int64_t, int64_t)> body_;
};

}  // namespace

int NumThreads() { return ThreadLimit().load(std::memory_order_relaxed); }

void SetNumThreads(int n) {
  ThreadLimit().store(std::clamp(n, 1, kMaxThreads), std::memory_order_relaxed);
}

void ParallelFor(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body,
                 int max_threads) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (n <= grain) return body(0, n);

  Loop loop(n, grain, body);
  const int limit = max_threads > 0 ? std::min(max_threads, kMaxThreads) : NumThreads();
  const int threads = static_cast<int>(std::min<int64_t>(limit, loop.runs()));
  if (threads == 1) {
    loop.Work();
  } else {
    const auto work = [&loop] { loop.Work(); };
    Job job(work);
    Pool::Get().Run(job, threads - 1);
  }
  loop.Rethrow();
}

}  // namespace spanflow::runtime
