#include "capi/hub.h"

#include <algorithm>
#include <new>

#include "capi/attach.h"

namespace spanflow::capi {
namespace {

struct Registry {
  std::mutex mutex;
  std::vector<std::weak_ptr<Hub>> hubs;
};

Registry& AllHubs() {
  static Registry* const all = new Registry;  // threads may outlive static objects
  return *all;
}

}  // namespace

std::shared_ptr<Hub> Hub::ForCurrentInterpreter() {
  std::shared_ptr<Hub> hub(new Hub);
  hub->interpreter_ = PyInterpreterState_Get();
  Registry& all = AllHubs();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.hubs, [](const std::weak_ptr<Hub>& known) { return known.expired(); });
  all.hubs.push_back(hub);
  return hub;
}

bool Hub::AttachedHere() const {
  PyThreadState* state = AttachedStateOrNull();
  return state != nullptr && PyThreadState_GetInterpreter(state) == interpreter_;
}

bool Hub::TryEnter() {
  const std::lock_guard lock(mutex_);
  if (closing_) return false;
  ++entered_;
  return true;
}

void Hub::Leave() {
  const std::lock_guard lock(mutex_);
  if (--entered_ == 0) all_left_.notify_all();
}

int64_t Hub::AddCloseHook(std::function<void()> hook) {
  const std::lock_guard lock(mutex_);
  hooks_.push_back({++last_hook_, std::move(hook)});
  return last_hook_;
}

void Hub::RemoveCloseHook(int64_t number) {
  const std::lock_guard lock(mutex_);
  std::erase_if(hooks_, [number](const Hook& hook) { return hook.number == number; });
}

void Hub::Release(PyObject* object) {
  if (AttachedHere()) {
    Py_DECREF(object);
    return;
  }
  const std::lock_guard lock(mutex_);
  deferred_.push_back(object);
  has_deferred_.store(true, std::memory_order_release);
}

void Hub::Drain() {
  if (has_deferred_.load(std::memory_order_acquire)) DropDeferred();
}

void Hub::DropDeferred() {
  std::vector<PyObject*> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(deferred_);
    has_deferred_.store(false, std::memory_order_release);
  }
  for (PyObject* object : dropped) Py_DECREF(object);
}

void Hub::Close() {
  BeginClose();
  AwaitThreads();
  DropDeferred();
}

void Hub::EndAllThreads() {
  std::vector<std::shared_ptr<Hub>> hubs;
  {
    Registry& all = AllHubs();
    const std::lock_guard lock(all.mutex);
    for (const std::weak_ptr<Hub>& known : all.hubs) {
      if (auto hub = known.lock()) hubs.push_back(std::move(hub));
    }
  }
  for (const auto& hub : hubs) hub->BeginClose();
  for (const auto& hub : hubs) hub->AwaitThreads();
}

void Hub::BeginClose() {
  std::vector<Hook> hooks;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    hooks = hooks_;
  }
  for (const Hook& hook : hooks) hook.run();
}

void Hub::AwaitThreads() {
  if (GaveUp()) return;
  try {
    WaitInterruptibly([this](std::chrono::milliseconds time) {
      std::unique_lock lock(mutex_);
      return all_left_.wait_for(lock, time, [this] { return entered_ == 0; });
    });
  } catch (const PythonError&) {
    gave_up_.store(true);
    throw;
  }
}

void Hub::ForgetOtherThreads() {
  // Another thread may have held the mutex at the fork: its memory is made anew, not unlocked.
  new (&mutex_) std::mutex;
  new (&all_left_) std::condition_variable;
  entered_ = 0;
  hooks_.clear();
  Registry& all = AllHubs();
  new (&all.mutex) std::mutex;
  std::erase_if(all.hubs, [this](const auto& known) { return known.lock().get() != this; });
}

}  // namespace spanflow::capi
