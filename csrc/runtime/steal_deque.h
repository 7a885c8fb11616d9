// StealDeque: one thread's own tasks, newest first for itself, oldest first for thieves.
//
// The deque of Chase and Lev ("Dynamic circular work-stealing deque", SPAA 2005) with the orders of
// Lê, Pop, Cohen and Zappa Nardelli ("Correct and efficient work-stealing for weak memory models",
// PPoPP 2013). Their fences are orders of the operations beside them here, which costs the same and
// is what ThreadSanitizer understands. Push is sequentially consistent too, so that its caller may
// look for sleepers right after it (scheduler.cc).
//
// Owns: its buffers, old ones too, since a thief may still read them; not the tasks.
// Threads: Push and Pop are the owner's; Steal, empty and size are anybody's.
// Attached: not needed. Fails: Push throws std::bad_alloc when the buffer cannot grow.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/task.h"

namespace spanflow::runtime {

class StealDeque {
 public:
  StealDeque() { Adopt(std::make_unique<Buffer>(kFirstCapacity)); }
  StealDeque(const StealDeque&) = delete;
  StealDeque& operator=(const StealDeque&) = delete;

  bool empty() const { return size() <= 0; }
  int64_t size() const { return bottom_.load() - top_.load(); }  // of a moment; may be below 0

  void Push(Entry entry) {
    const int64_t bottom = bottom_.load(std::memory_order_relaxed);
    const int64_t top = top_.load(std::memory_order_acquire);
    Buffer* buffer = buffer_.load(std::memory_order_relaxed);
    if (bottom - top == buffer->capacity()) buffer = Grow(*buffer, top, bottom);
    buffer->Put(bottom, entry);
    bottom_.store(bottom + 1);
  }

  // The newest, if its lineage is wanted.
  template <class Wanted>
  Entry Pop(Wanted wanted) {
    const int64_t bottom = bottom_.load(std::memory_order_relaxed) - 1;
    if (bottom < top_.load(std::memory_order_relaxed)) return {};
    const Entry entry = buffer_.load(std::memory_order_relaxed)->Get(bottom);
    if (!wanted(entry.lineage)) return {};
    bottom_.store(bottom);
    int64_t top = top_.load();
    if (top < bottom) return entry;
    const bool won = top == bottom && top_.compare_exchange_strong(top, top + 1);
    bottom_.store(bottom + 1, std::memory_order_release);
    return won ? entry : Entry{};
  }

  // The oldest, if its lineage is wanted and nobody else took it in this moment. A lineage may be
  // asked about after its time; then somebody else has the task.
  template <class Wanted>
  Entry Steal(Wanted wanted) {
    int64_t top = top_.load();
    if (top >= bottom_.load()) return {};
    const Entry entry = buffer_.load(std::memory_order_acquire)->Get(top);
    if (!wanted(entry.lineage)) return {};
    return top_.compare_exchange_strong(top, top + 1) ? entry : Entry{};
  }

 private:
  static constexpr int64_t kFirstCapacity = 64;

  // Places by index modulo capacity, a power of two.
  class Buffer {
   public:
    explicit Buffer(int64_t capacity)
        : mask_(capacity - 1), places_(new Place[static_cast<size_t>(capacity)]) {}

    int64_t capacity() const { return mask_ + 1; }
    void Put(int64_t index, Entry entry) {
      Place& place = places_[static_cast<size_t>(index & mask_)];
      place.task.store(entry.task, std::memory_order_relaxed);
      place.lineage.store(entry.lineage, std::memory_order_relaxed);
    }
    Entry Get(int64_t index) const {
      const Place& place = places_[static_cast<size_t>(index & mask_)];
      return {place.task.load(std::memory_order_relaxed),
              place.lineage.load(std::memory_order_relaxed)};
    }

   private:
    struct Place {
      std::atomic<Task*> task{nullptr};
      std::atomic<const Lineage*> lineage{nullptr};
    };
    const int64_t mask_;
    const std::unique_ptr<Place[]> places_;
  };

  Buffer* Adopt(std::unique_ptr<Buffer> buffer) {
    buffers_.push_back(std::move(buffer));
    buffer_.store(buffers_.back().get(), std::memory_order_release);
    return buffers_.back().get();
  }
  Buffer* Grow(const Buffer& full, int64_t top, int64_t bottom) {
    auto larger = std::make_unique<Buffer>(2 * full.capacity());
    for (int64_t i = top; i < bottom; ++i) larger->Put(i, full.Get(i));
    return Adopt(std::move(larger));
  }

  alignas(64) std::atomic<int64_t> top_{0};  // written by thieves
  alignas(64) std::atomic<int64_t> bottom_{0};
  std::atomic<Buffer*> buffer_{nullptr};
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

}  // namespace spanflow::runtime
