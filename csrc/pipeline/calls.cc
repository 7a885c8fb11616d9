#include "pipeline/calls.h"

#include <utility>

#include "pipeline/stats.h"

namespace spanflow::pipeline {

void Calls::Put(Call call) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_.load()) return;  // `call` dies behind the lock
    waiting_.push_back(std::move(call));
    count_.fetch_add(1);
    if (wake_.has_value()) wake_->Notify();
  }
  changed_.NotifyOne();
}

std::optional<Call> Calls::Pop() {
  const std::lock_guard lock(mutex_);
  if (stopped_.load() || !HasWork()) return {};
  std::optional<Call> call(std::move(waiting_.front()));
  waiting_.pop_front();
  count_.fetch_sub(1);
  in_hand_.fetch_add(1);
  return call;
}

std::optional<Call> Calls::TryTake() {
  while (std::optional<Call> call = Pop()) {
    if (home_->Wanted(call->token)) return call;
    in_hand_.fetch_sub(1);
  }
  return {};
}

std::optional<Call> Calls::Take() {
  while (!stopped_.load()) {
    if (std::optional<Call> call = TryTake()) return call;
    changed_.Wait([this] { return stopped_.load() || HasWork(); });
  }
  return {};
}

void Calls::Return(Call call) {
  bool grew = false;
  {
    const std::lock_guard lock(mutex_);  // whoever stops it may let the home go afterwards
    in_hand_.fetch_sub(1);
    if (tuner_.has_value()) grew = tuner_->Returned(Now(), !waiting_.empty());
    if (!stopped_.load()) home_->TakeBack(stage_, std::move(call));
  }
  if (!grew) return;
  grew_.NotifyAll();
  changed_.NotifyAll();
}

bool Calls::Admit() {
  int number = admitted_.load();
  while (!stopped_.load()) {
    if (number >= places()) {
      grew_.Wait([&] { return stopped_.load() || admitted_.load() < places(); });
      number = admitted_.load();
    } else if (admitted_.compare_exchange_weak(number, number + 1)) {
      return true;
    }
  }
  return false;
}

void Calls::Stop() {
  std::deque<Call> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopped_.store(true);
    dropped.swap(waiting_);
    count_.store(0);
    if (wake_.has_value()) wake_->Notify();
  }
  changed_.NotifyAll();
  grew_.NotifyAll();
  ended_.NotifyAll();
}

bool Calls::Sleep(std::chrono::nanoseconds time) {
  return !ended_.WaitFor(time, [this] { return stopped_.load(); });
}

base::Result<int> Calls::WakeDescriptor() {
  const std::lock_guard lock(mutex_);
  if (!wake_.has_value()) {
    SPANFLOW_ASSIGN(wake_, platform::Wake::Make());
  }
  if (stopped_.load() || !waiting_.empty()) wake_->Notify();
  return wake_->descriptor();
}

}  // namespace spanflow::pipeline
