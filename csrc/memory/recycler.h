// Recycler: large blocks of memory that were released, kept for the next request of their size.
//
// Owns: the memory in it, until it is taken, pushed out by newer memory, or trimmed.
// Threads: thread-safe; the lock is held for a search of at most kMostBlocks entries, never while
// memory is given back to the system.
// Attached: not needed.
// Fails: Take returns nullptr when nothing fits.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace spanflow::memory {

class Recycler {
 public:
  using FreeFn = void (*)(std::byte* address);

  // One per process in use; tests make their own.
  Recycler(int64_t limit, FreeFn free) : free_(free), limit_(limit) {}
  ~Recycler() { Trim(); }
  Recycler(const Recycler&) = delete;
  Recycler& operator=(const Recycler&) = delete;

  // The size that a request is rounded up to: one of eight steps between powers of two, so at most
  // an eighth is spare and requests of nearly the same size share memory. -1 when it does not fit.
  static int64_t ClassBytes(int64_t nbytes);

  // The memory of exactly this class that was put in last (its pages are the warmest), or nullptr.
  std::byte* Take(int64_t class_bytes);
  // Takes the memory over; what was put in longest ago goes to make room.
  void Put(std::byte* address, int64_t class_bytes);
  void Trim();

  void SetLimit(int64_t nbytes);  // shrinks at once
  int64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // In a forked child: if another thread was inside at that moment, starts over with nothing in it.
  void RecoverAfterFork();

 private:
  static constexpr int kMostBlocks = 256;
  struct Entry {
    std::byte* address;
    int64_t bytes;
  };

  Entry RemoveLockHeld(int index);
  bool TakeOldestAbove(int64_t nbytes, Entry* oldest);

  FreeFn free_;
  std::mutex mutex_;
  std::array<Entry, kMostBlocks> entries_;  // oldest first
  int count_ = 0;
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> limit_;
};

}  // namespace spanflow::memory
