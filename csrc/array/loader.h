// Loaders and storers: any operand as contiguous native runs of the kind that a kernel computes in.
//
// A LoadPlan says once per run how an operand is read, a Loader carries it out on one thread, block
// by block. Memory that is contiguous, native and of the right kind is handed to the kernel as it
// is; everything else is gathered, byte-swapped and cast into a register of 4 KiB that stays in the
// L1 cache. StorePlan and Storer are the reverse. An eager operation and a fused program use them
// in the same way:
//     block = min(load plans' capacity, store plans' capacity)
//     n = min(block, what is left, each Prefer(n));  out = storer.Begin(n);
//     kernel(loader.Next(n), out, n);  storer.End(n);
//
// Owns: plans own nothing; a Loader or Storer works in scratch that the caller gives it.
// Threads: thread-compatible; plans are immutable once made and shared by all threads, a Loader or
// Storer belongs to one. Attached: not needed. Fails: never.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "array/iterate.h"
#include "array/view.h"
#include "base/dtype.h"
#include "simd/kernels.h"

namespace spanflow::array {

inline constexpr int64_t kRegisterBytes = 4096;
inline constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
// Runs at least this long are handed out one by one; shorter ones are collected in a register.
inline constexpr int64_t kLongRun = 256;
inline constexpr int64_t kMostPrefetched = 16 << 10;  // bytes of one operand

struct alignas(64) Scratch {
  std::byte raw[kRegisterBytes];    // items as they lie in memory
  std::byte value[kRegisterBytes];  // items of the compute kind
};

// How an item in memory and an item of the compute kind become each other.
struct Conversion {
  int64_t memory_size = 0;
  int64_t value_size = 0;
  int64_t swap_units = 0;       // byte-swapped parts of an item (2 for complex)
  simd::CastFn swap = nullptr;  // null: native
  simd::CastFn cast = nullptr;  // null: the same kind

  bool none() const { return swap == nullptr && cast == nullptr; }
  int64_t register_items() const { return kRegisterBytes / std::max(memory_size, value_size); }
};

struct LoadPlan {
  Walk walk;
  Conversion convert;
  bool in_place;     // blocks are memory itself
  bool is_far;       // memory has to be asked for what comes next
  int64_t capacity;  // elements that one block may have; kNoLimit when in_place

  // Items of `dtype` (numeric) in the order of `walk` are loaded as `kind`.
  void Make(const base::DType& dtype, base::Kind kind);
  // Items of any kind are loaded as they are; at most kRegisterBytes.
  void MakeOpaque(int64_t itemsize);

 private:
  void Finish();
};

class Loader {
 public:
  // Begins at `element` of the plan's walk, every address moved by `offset` bytes.
  void Start(const LoadPlan* plan, Scratch* scratch, int64_t element, ptrdiff_t offset = 0);

  // How many of the next n elements are best taken together: at most n, and at least 1.
  int64_t Prefer(int64_t n) const {
    return plan_->walk.run() >= kLongRun ? std::min(n, cursor_.left()) : n;
  }
  // The next n elements, at most the plan's capacity and what Prefer said. Valid until the next
  // call; in memory itself when the plan is in_place, else in the scratch.
  const void* Next(int64_t n) {
    if (!plan_->in_place) return NextLoaded(n);
    const void* here = cursor_.pointer();
    cursor_.Advance(n);
    return here;
  }
  // Asks memory for the n elements after those of the last Next, if they are a run in place.
  void Prefetch(int64_t n) const {
    const int64_t size = plan_->convert.memory_size;
    if (!plan_->in_place || plan_->walk.step() != size || cursor_.left() < n) return;
    if (n * size > kMostPrefetched) return;  // a long block is no work in L1 to be done meanwhile
    const std::byte* const next = cursor_.pointer();
    for (int64_t line = 0; line < n * size; line += 64) __builtin_prefetch(next + line);
  }
  // The same as Next, but written to `out` in every case. n may exceed the plan's capacity if the
  // plan converts nothing.
  void NextInto(int64_t n, std::byte* out);

 private:
  const void* NextLoaded(int64_t n);
  const void* NextRepeated(int64_t n);
  void Repeat(int64_t n, std::byte* out);
  void TakeRun(int64_t n, std::byte* out);
  void Convert(const std::byte* from, int64_t n, std::byte* out);

  const LoadPlan* plan_ = nullptr;
  Scratch* scratch_ = nullptr;
  const std::byte* repeated_ = nullptr;  // the element whose copies lie in the scratch
  int64_t copies_ = 0;
  Cursor cursor_;
};

// The elements of a numeric view in C order, as `kind`.
LoadPlan OrderedLoad(const View& view, base::Kind kind);

// Calls use(items, i, n) for elements [begin, end) of the plan's walk, at most `most` at a time; i
// counts from 0. The items may lie at any address.
template <class Use>
void ForEachPiece(const LoadPlan& plan, int64_t begin, int64_t end, int64_t most, const Use& use) {
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, begin);
  for (int64_t i = 0; i < end - begin;) {
    const int64_t n = loader.Prefer(std::min({plan.capacity, most, end - begin - i}));
    use(static_cast<const std::byte*>(loader.Next(n)), i, n);
    i += n;
  }
}

struct StorePlan {
  Walk walk;
  Conversion convert;
  bool in_place;     // kernels write to memory itself
  int64_t capacity;  // as in LoadPlan

  // Values of `kind` are stored as items of `dtype` (numeric).
  void Make(const base::DType& dtype, base::Kind kind);
  void MakeOpaque(int64_t itemsize);

 private:
  void Finish();
};

class Storer {
 public:
  void Start(const StorePlan* plan, Scratch* scratch, int64_t element, ptrdiff_t offset = 0);

  int64_t Prefer(int64_t n) const {
    return plan_->walk.run() >= kLongRun ? std::min(n, cursor_.left()) : n;
  }
  // Where the next n values are to be written; then End(n) puts them into their places.
  void* Begin(int64_t) { return plan_->in_place ? cursor_.pointer() : scratch_->value; }
  void End(int64_t n) {
    if (plan_->in_place)
      cursor_.Advance(n);
    else
      Put(scratch_->value, n);
  }
  // Stores n values that lie somewhere else.
  void Put(const std::byte* values, int64_t n);

 private:
  const StorePlan* plan_ = nullptr;
  Scratch* scratch_ = nullptr;
  Cursor cursor_;
};

// Which conversion takes items of `dtype` to values of `kind`, and back.
Conversion ConvertOnLoad(const base::DType& dtype, base::Kind kind);
Conversion ConvertOnStore(const base::DType& dtype, base::Kind kind);

}  // namespace spanflow::array
