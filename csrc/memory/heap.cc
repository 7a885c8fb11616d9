#include "memory/heap.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "memory/recycler.h"
#include "platform/pages.h"
#include "platform/thread.h"
#include "platform/topology.h"

#ifndef SPANFLOW_SYSTEM_ALLOCATOR
#include <mimalloc.h>
#endif

namespace spanflow::memory {
namespace {

using base::Result;
using base::Status;

constexpr int64_t kLarge = int64_t{1} << 20;  // recycled from here on
constexpr int64_t kHuge = int64_t{4} << 20;   // on huge pages from here on
constexpr int64_t kMostCached = int64_t{1} << 30;

// Large blocks begin at different distances from a multiple of 4 KiB. Where arrays that are read
// and written side by side have the same one, their lines fall into the same sets of the caches,
// and c = a + b takes a tenth longer.
constexpr int64_t kPage = 4096;
constexpr int64_t kShift = 7 * kHeapAlignment;
constexpr int64_t kShifts = 9;
static_assert((kShifts - 1) * kShift < kPage);
constexpr int64_t kMostBytes = int64_t{1} << 62;  // no machine has so many

#ifdef SPANFLOW_SYSTEM_ALLOCATOR
// For sanitizers: every block is its own allocation of exactly its size, and none is used again.
constexpr bool kRecycles = false;
constexpr int64_t kMostOfSanitizers = int64_t{1} << 39;  // larger requests would end the process

std::byte* NewBytes(int64_t nbytes, bool zeroed, size_t alignment = kHeapAlignment) {
  void* address = nullptr;
  if (nbytes > kMostOfSanitizers) return nullptr;
  if (posix_memalign(&address, alignment, static_cast<size_t>(nbytes)) != 0) return nullptr;
  if (zeroed) std::memset(address, 0, static_cast<size_t>(nbytes));
  return static_cast<std::byte*>(address);
}
void FreeBytes(std::byte* address) { std::free(address); }
void PurgeAllocator() {}
#else
constexpr bool kRecycles = true;

std::byte* NewBytes(int64_t nbytes, bool zeroed, size_t alignment = kHeapAlignment) {
  const auto size = static_cast<size_t>(nbytes);
  void* address = zeroed ? mi_zalloc_aligned(size, alignment) : mi_malloc_aligned(size, alignment);
  return static_cast<std::byte*>(address);
}
void FreeBytes(std::byte* address) { mi_free(address); }
// What was freed stays with mimalloc for a while, pages and all, unless it is told.
void PurgeAllocator() { mi_collect(/*force=*/true); }
#endif

std::byte* NewLarge(int64_t capacity, bool zeroed) {
  static std::atomic<uint32_t> made{0};
  if (capacity > kMostBytes) return nullptr;
  const int64_t whole = capacity + (kShifts - 1) * kShift;
  std::byte* const begin = NewBytes(whole, zeroed, kPage);
  if (begin == nullptr) return nullptr;
  if (capacity >= kHuge) platform::Advise(begin, whole, platform::Advice::kHugePages);
  return begin + made.fetch_add(1, std::memory_order_relaxed) % kShifts * kShift;
}
void FreeLarge(std::byte* address) {
  FreeBytes(address - reinterpret_cast<uintptr_t>(address) % kPage);
}

struct Counters {
  std::atomic<int64_t> live_bytes{0};
  std::atomic<int64_t> peak_bytes{0};
  std::atomic<int64_t> live_blocks{0};

  void Add(int64_t nbytes) {
    live_blocks.fetch_add(1, std::memory_order_relaxed);
    const int64_t now = live_bytes.fetch_add(nbytes, std::memory_order_relaxed) + nbytes;
    int64_t peak = peak_bytes.load(std::memory_order_relaxed);
    while (now > peak && !peak_bytes.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
  }
  void Subtract(int64_t nbytes) {
    live_blocks.fetch_sub(1, std::memory_order_relaxed);
    live_bytes.fetch_sub(nbytes, std::memory_order_relaxed);
  }
};
constinit Counters counters;

// Never destroyed: blocks may outlive every static object.
Recycler& Cache() {
  static Recycler& cache = *[] {
    auto* made = new Recycler(kRecycles ? std::min(kMostCached, platform::UsableMemory() / 16) : 0,
                              FreeLarge);
    platform::OnFork(nullptr, nullptr, [] { Cache().RecoverAfterFork(); });
    return made;
  }();
  return cache;
}

// `capacity` bytes, from the cache if it can; `nbytes` of them are zeroed on request.
std::byte* TakeBytes(int64_t capacity, int64_t nbytes, bool zeroed) {
  if (!kRecycles || capacity < kLarge) return NewBytes(capacity, zeroed);
  if (std::byte* recycled = Cache().Take(capacity)) {
    if (zeroed) std::memset(recycled, 0, static_cast<size_t>(nbytes));
    return recycled;
  }
  std::byte* fresh = NewLarge(capacity, zeroed);
  if (fresh == nullptr && Cache().bytes() > 0) {
    TrimHeap();
    fresh = NewLarge(capacity, zeroed);
  }
  return fresh;
}

void GiveBackBytes(std::byte* address, int64_t capacity) {
  if (kRecycles && capacity >= kLarge) {
    Cache().Put(address, capacity);
  } else {
    FreeBytes(address);
  }
}

class HeapBlock final : public Block {
 public:
  HeapBlock(std::byte* address, int64_t nbytes, int64_t capacity)
      : Block(address, nbytes, BlockKind::kHeap, /*readonly=*/false), capacity_(capacity) {
    counters.Add(nbytes);
  }

 private:
  void ReleaseBytes() noexcept override {
    counters.Subtract(nbytes());
    GiveBackBytes(address(), capacity_);
  }

  int64_t capacity_;
};

}  // namespace

Result<BlockRef> AllocateHeap(int64_t nbytes, bool zeroed) {
  if (nbytes < 0) return Status::Value("a block of " + std::to_string(nbytes) + " bytes");
  const bool recycled = kRecycles && nbytes >= kLarge;
  const int64_t capacity = recycled ? Recycler::ClassBytes(nbytes) : std::max<int64_t>(nbytes, 1);
  std::byte* address = capacity < 0 ? nullptr : TakeBytes(capacity, nbytes, zeroed);
  if (address != nullptr) {
    if (auto* block = new (std::nothrow) HeapBlock(address, nbytes, capacity)) {
      return BlockRef::Adopt(block);
    }
    GiveBackBytes(address, capacity);
  }
  return Status::Memory("cannot allocate " + std::to_string(nbytes) + " bytes; " +
                        std::to_string(GetHeapStats().live_bytes) + " are in use");
}

const char* AllocatorName() { return kRecycles ? "mimalloc" : "system"; }

HeapStats GetHeapStats() {
  HeapStats stats;
  stats.live_bytes = counters.live_bytes.load(std::memory_order_relaxed);
  stats.peak_bytes = counters.peak_bytes.load(std::memory_order_relaxed);
  stats.live_blocks = counters.live_blocks.load(std::memory_order_relaxed);
  stats.cached_bytes = Cache().bytes();
  return stats;
}

void TrimHeap() {
  Cache().Trim();
  PurgeAllocator();
}

void SetHeapCacheLimit(int64_t nbytes) {
  if (kRecycles) Cache().SetLimit(nbytes);
}
int64_t HeapCacheLimit() { return Cache().limit(); }

}  // namespace spanflow::memory
