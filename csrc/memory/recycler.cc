#include "memory/recycler.h"

#include <algorithm>
#include <bit>
#include <new>

#include "base/arith.h"

namespace spanflow::memory {

int64_t Recycler::ClassBytes(int64_t nbytes) {
  const auto step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(nbytes)) / 8);
  return base::RoundUp(nbytes, std::max<int64_t>(step, 1)).value_or(-1);
}

Recycler::Entry Recycler::RemoveLockHeld(int index) {
  const auto at = entries_.begin() + index;
  const Entry entry = *at;
  std::copy(at + 1, entries_.begin() + count_, at);
  --count_;
  bytes_.store(bytes() - entry.bytes, std::memory_order_relaxed);
  return entry;
}

std::byte* Recycler::Take(int64_t class_bytes) {
  const std::lock_guard lock(mutex_);
  for (int i = count_ - 1; i >= 0; --i) {
    if (entries_[static_cast<size_t>(i)].bytes == class_bytes) return RemoveLockHeld(i).address;
  }
  return nullptr;
}

void Recycler::Put(std::byte* address, int64_t class_bytes) {
  for (;;) {
    Entry out{address, class_bytes};
    {
      const std::lock_guard lock(mutex_);
      const int64_t most = limit();  // SetLimit may change it at any moment
      if (class_bytes <= most) {
        if (count_ < kMostBlocks && bytes() + class_bytes <= most) {
          entries_[static_cast<size_t>(count_++)] = out;
          bytes_.store(bytes() + class_bytes, std::memory_order_relaxed);
          return;
        }
        if (count_ > 0) out = RemoveLockHeld(0);
      }
    }
    free_(out.address);
    if (out.address == address) return;
  }
}

bool Recycler::TakeOldestAbove(int64_t nbytes, Entry* oldest) {
  const std::lock_guard lock(mutex_);
  if (count_ == 0 || bytes() <= nbytes) return false;
  *oldest = RemoveLockHeld(0);
  return true;
}

void Recycler::Trim() {
  for (Entry oldest; TakeOldestAbove(0, &oldest);) free_(oldest.address);
}

void Recycler::SetLimit(int64_t nbytes) {
  limit_.store(std::max<int64_t>(nbytes, 0), std::memory_order_relaxed);
  for (Entry oldest; TakeOldestAbove(limit(), &oldest);) free_(oldest.address);
}

void Recycler::RecoverAfterFork() {
  if (mutex_.try_lock()) {
    mutex_.unlock();
    return;
  }
  // The thread that held the lock does not exist here, and what it was changing cannot be trusted.
  new (&mutex_) std::mutex;
  count_ = 0;
  bytes_.store(0, std::memory_order_relaxed);
}

}  // namespace spanflow::memory
