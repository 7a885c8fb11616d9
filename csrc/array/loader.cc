#include "array/loader.h"

#include <cassert>

#include "array/gather.h"
#include "array/items.h"

namespace spanflow::array {
namespace {

// Items that share cache lines with their neighbours.
constexpr int64_t kNearStep = 64;
// A run of more bytes does not lie in a cache of its own core.
constexpr int64_t kFarBytes = int64_t{1} << 20;

Conversion Between(const base::DType& dtype, base::Kind from, base::Kind to, base::Kind value) {
  Conversion convert;
  convert.memory_size = dtype.itemsize();
  convert.value_size = base::InfoOf(value).itemsize;
  const int unit = base::InfoOf(dtype.kind()).swap_unit;
  if (dtype.swapped() && unit > 1) {
    convert.swap_units = dtype.itemsize() / unit;
    convert.swap = simd::FindByteSwap(unit);
  }
  if (from != to) convert.cast = simd::FindCast(from, to);
  return convert;
}

// Memory can serve as a block when it needs no conversion and has no gaps, in runs long enough.
bool InPlace(const Walk& walk, const Conversion& convert) {
  if (!convert.none()) return false;
  if (walk.single_run() && walk.run() == 1) return true;
  return walk.step() == convert.memory_size && (walk.single_run() || walk.run() >= kLongRun);
}

Conversion Opaque(int64_t itemsize) {
  Conversion convert;
  convert.memory_size = convert.value_size = itemsize;
  return convert;
}

void Swap(const Conversion& convert, const std::byte* from, std::byte* to, int64_t n) {
  convert.swap(from, to, static_cast<size_t>(n * convert.swap_units));
}

void Cast(const Conversion& convert, const std::byte* from, std::byte* to, int64_t n) {
  convert.cast(from, to, static_cast<size_t>(n));
}

}  // namespace

Conversion ConvertOnLoad(const base::DType& dtype, base::Kind kind) {
  return Between(dtype, dtype.kind(), kind, kind);
}

Conversion ConvertOnStore(const base::DType& dtype, base::Kind kind) {
  return Between(dtype, kind, dtype.kind(), kind);
}

void LoadPlan::Make(const base::DType& dtype, base::Kind kind) {
  convert = ConvertOnLoad(dtype, kind);
  Finish();
}

void LoadPlan::MakeOpaque(int64_t itemsize) {
  convert = Opaque(itemsize);
  Finish();
}

void LoadPlan::Finish() {
  in_place = InPlace(walk, convert);
  is_far = walk.step() > 0 && walk.step() <= kNearStep && walk.run() > kFarBytes / walk.step();
  capacity = in_place ? kNoLimit : convert.register_items();
  // The copies of a constant use both registers: fewer, longer blocks for the operands in place.
  if (!in_place && walk.constant()) capacity = 2 * kRegisterBytes / convert.value_size;
}

void Loader::Start(const LoadPlan* plan, Scratch* scratch, int64_t element, ptrdiff_t offset) {
  plan_ = plan;
  scratch_ = scratch;
  repeated_ = nullptr;
  cursor_.Start(&plan->walk, element, offset);
}

const void* Loader::NextLoaded(int64_t n) {
  if (plan_->walk.step() == 0 && n <= cursor_.left()) return NextRepeated(n);
  NextInto(n, scratch_->value);
  repeated_ = nullptr;
  return scratch_->value;
}

const void* Loader::NextRepeated(int64_t n) {
  std::byte* out = scratch_->raw;  // and on into `value`
  const std::byte* element = cursor_.pointer();
  if (element != repeated_ || copies_ < n) {
    Repeat(n, out);
    repeated_ = element;
    copies_ = n;
  }
  cursor_.Advance(n);
  return out;
}

void Loader::Repeat(int64_t n, std::byte* out) {
  const Conversion& convert = plan_->convert;
  alignas(16) std::byte swapped[16];
  alignas(16) std::byte value[16];
  const std::byte* item = cursor_.pointer();
  if (convert.swap != nullptr) {
    Swap(convert, item, swapped, 1);
    item = swapped;
  }
  if (convert.cast != nullptr) {
    Cast(convert, item, value, 1);
    item = value;
  }
  simd::Gather(item, 0, static_cast<size_t>(convert.value_size), out, static_cast<size_t>(n));
}

void Loader::Convert(const std::byte* from, int64_t n, std::byte* out) {
  const Conversion& convert = plan_->convert;
  if (convert.swap != nullptr) {
    std::byte* swapped = convert.cast == nullptr ? out : scratch_->raw;
    Swap(convert, from, swapped, n);
    from = swapped;
  }
  if (convert.cast != nullptr) Cast(convert, from, out, n);
}

// Items that lie close together in one run, piece by piece: between the pieces memory is asked for
// those of the next block, which it has time to bring while this one is worked on.
void Loader::TakeRun(int64_t n, std::byte* out) {
  constexpr int64_t kPieceBytes = 2048;
  const Conversion& convert = plan_->convert;
  const int64_t step = plan_->walk.step(), last = cursor_.left() - n;
  const int64_t most = std::max<int64_t>(kPieceBytes / step, 1);
  std::byte* const gathered = convert.cast == nullptr ? nullptr : scratch_->raw;
  const std::byte* from = cursor_.pointer();
  for (int64_t i = 0; i < n; i += most) {
    const int64_t items = std::min(most, n - i);
    for (int64_t line = 0; i + items <= last && line < items * step; line += 64) {
      __builtin_prefetch(from + n * step + line);
    }
    const std::byte* packed = from;
    if (step != convert.memory_size) {
      std::byte* const to = gathered == nullptr ? out : gathered;
      simd::Gather(from, step, static_cast<size_t>(convert.memory_size), to,
                   static_cast<size_t>(items));
      packed = to;
    }
    Convert(packed, items, out);
    from += items * step;
    out += items * convert.value_size;
  }
  cursor_.Advance(n);
}

void Loader::NextInto(int64_t n, std::byte* out) {
  const Conversion& convert = plan_->convert;
  const int64_t step = plan_->walk.step();
  assert(convert.none() || step == 0 || n <= convert.register_items());
  const bool one_run = n <= cursor_.left();
  if (one_run && step == 0) {
    Repeat(n, out);
    return cursor_.Advance(n);
  }
  const bool is_dense = step == convert.memory_size;
  if (one_run && plan_->is_far && !(is_dense && convert.none())) return TakeRun(n, out);
  if (one_run && is_dense && !convert.none()) {  // converted without a gather
    Convert(cursor_.pointer(), n, out);
    return cursor_.Advance(n);
  }
  std::byte* gathered = convert.cast == nullptr ? out : scratch_->raw;
  GatherFrom(&cursor_, convert.memory_size, gathered, n);
  Convert(gathered, n, out);
}

void StorePlan::Make(const base::DType& dtype, base::Kind kind) {
  convert = ConvertOnStore(dtype, kind);
  Finish();
}

void StorePlan::MakeOpaque(int64_t itemsize) {
  convert = Opaque(itemsize);
  Finish();
}

void StorePlan::Finish() {
  in_place = InPlace(walk, convert);
  capacity = in_place ? kNoLimit : convert.register_items();
}

void Storer::Start(const StorePlan* plan, Scratch* scratch, int64_t element, ptrdiff_t offset) {
  plan_ = plan;
  scratch_ = scratch;
  cursor_.Start(&plan->walk, element, offset);
}

void Storer::Put(const std::byte* values, int64_t n) {
  const Conversion& convert = plan_->convert;
  assert(convert.none() || n <= convert.register_items());
  const bool dense = n <= cursor_.left() && plan_->walk.step() == convert.memory_size;
  if (convert.cast != nullptr) {
    std::byte* out = dense && convert.swap == nullptr ? cursor_.pointer() : scratch_->raw;
    Cast(convert, values, out, n);
    values = out;
  }
  if (convert.swap != nullptr) {
    std::byte* out = dense ? cursor_.pointer() : scratch_->raw;
    Swap(convert, values, out, n);
    values = out;
  }
  if (dense && !convert.none())
    cursor_.Advance(n);  // already there
  else
    ScatterTo(&cursor_, convert.memory_size, values, n);
}

LoadPlan OrderedLoad(const View& view, base::Kind kind) {
  LoadPlan plan;
  MakeOrderedWalk(view, 0, view.ndim(), &plan.walk);
  plan.Make(view.dtype(), kind);
  return plan;
}

}  // namespace spanflow::array
