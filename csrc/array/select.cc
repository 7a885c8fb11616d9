#include "array/select.h"

#include <algorithm>
#include <cstring>

#include "array/assign.h"
#include "array/create.h"
#include "array/items.h"
#include "array/loader.h"
#include "array/mask.h"
#include "array/split.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::Dims;
using base::Kind;
using base::Result;
using base::Status;

// (count, the view's axes from `first` on)
Dims SelectedShape(const View& view, int64_t count, int first) {
  Dims shape{count};
  for (int i = first; i < view.ndim(); ++i) shape.push_back(view.layout.shape[i]);
  return shape;
}

// Another thread may change a mask while it is used. What was counted before stays the limit, so
// the bytes are looked at once more, in a copy, before anything is written by them.
class CountedMask {
 public:
  static constexpr int64_t kBlock = 4096;

  CountedMask(const Mask& mask, int64_t chunk) : mask_(mask), left_(mask.count_of(chunk)) {}

  // Elements [begin, begin + n) with no more true ones than are left; n <= kBlock.
  const uint8_t* Next(int64_t begin, int64_t n) {
    std::copy_n(mask_.bytes() + begin, n, bytes_);
    auto found = static_cast<int64_t>(simd::CountTrue(bytes_, static_cast<size_t>(n)));
    for (int64_t i = n - 1; found > left_; --i) {
      found -= bytes_[i] != 0;
      bytes_[i] = 0;
    }
    left_ -= found;
    return bytes_;
  }
  int64_t left() const { return left_; }

 private:
  const Mask& mask_;
  int64_t left_;
  uint8_t bytes_[kBlock];
};

// The selection out of one chunk of a mask: blocks of items, contiguous as they lie or gathered.
void CompressChunk(const Mask& mask, int64_t chunk, const LoadPlan& plan, std::byte* out) {
  Scratch scratch;
  Loader loader;
  const int64_t size = plan.convert.memory_size, end = mask.chunk_end(chunk);
  int64_t i = chunk * Mask::kChunk;
  loader.Start(&plan, &scratch, i);
  out += mask.before(chunk) * size;
  CountedMask chosen(mask, chunk);
  while (i < end) {
    const int64_t n = loader.Prefer(std::min({plan.capacity, CountedMask::kBlock, end - i}));
    const auto* items = static_cast<const std::byte*>(loader.Next(n));
    out +=
        size * static_cast<int64_t>(simd::Compress(items, static_cast<size_t>(size),
                                                   chosen.Next(i, n), static_cast<size_t>(n), out));
    i += n;
  }
  std::memset(out, 0, static_cast<size_t>(chosen.left() * size));
}

void CompressDense(const View& view, const Mask& mask, int mask_ndim, int64_t item_bytes,
                   std::byte* out, const RunOptions& options) {
  LoadPlan plan;
  MakeOrderedWalk(view, 0, mask_ndim, &plan.walk);
  plan.MakeOpaque(item_bytes);
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) CompressChunk(mask, c, plan, out);
  };
  const int64_t per_task = kChunkBytes / (Mask::kChunk * item_bytes);
  runtime::ParallelFor(mask.chunks(), std::max<int64_t>(per_task, 1), body, options.threads);
}

// Items that lie scattered, or are larger than a register, go one by one. Returns how many of those
// that were counted are not true any more.
template <class Move>
int64_t ForEachTrue(const View& view, const Mask& mask, int mask_ndim, const Move& move) {
  Walk walk;
  MakeOrderedWalk(view, 0, mask_ndim, &walk);
  Cursor cursor;
  cursor.Start(&walk, 0);
  int64_t left = mask.count();
  for (int64_t i = 0; i < mask.size() && left > 0; ++i, cursor.Advance(1)) {
    if (mask.bytes()[i] == 0) continue;
    move(cursor.pointer());
    --left;
  }
  return left;
}

}  // namespace

Result<View> Compress(const View& view, const View& mask, const RunOptions& options) {
  RunScope scope;
  SPANFLOW_TRY(scope.Add(view));
  SPANFLOW_TRY(scope.Add(mask));
  SPANFLOW_ASSIGN(const Mask chosen, Mask::Make(mask, view, options));
  const int lead = mask.ndim();
  if (lead == 0 && view.ndim() == base::kMaxDims) {
    return Status::Index("a mask without axes would give an array of more than 64 dimensions");
  }
  SPANFLOW_ASSIGN(View result, Empty(view.dtype(), SelectedShape(view, chosen.count(), lead)));
  if (result.layout.nbytes() > 0) {
    const ItemShape item(view, lead);
    if (item.dense() && item.bytes() <= kRegisterBytes) {
      CompressDense(view, chosen, lead, item.bytes(), result.data, options);
    } else {
      std::byte* out = result.data;
      const int64_t left = ForEachTrue(view, chosen, lead, [&](const std::byte* place) {
        item.Read(place, out);
        out += item.bytes();
      });
      std::memset(out, 0, static_cast<size_t>(left * item.bytes()));
    }
  }
  SPANFLOW_TRY(scope.Finish());
  return result;
}

Status PutMask(const View& view, const View& mask, const View& values, const RunOptions& options) {
  SPANFLOW_TRY(CheckWritable(view));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(view));
  SPANFLOW_TRY(scope.Add(mask));
  SPANFLOW_TRY(scope.Add(values));
  SPANFLOW_ASSIGN(const Mask chosen, Mask::Make(mask, view, options));
  const int lead = mask.ndim();
  const Dims shape = SelectedShape(view, chosen.count(), lead);
  SPANFLOW_ASSIGN(const Source source, MakeSource(view, values, shape, 1, options));
  SPANFLOW_ASSIGN(const int64_t bytes, base::CheckedBytes(shape, view.dtype().itemsize()));
  if (bytes > 0) {
    const ItemShape item(view, lead);
    const std::byte* in = source.values.data;
    ForEachTrue(view, chosen, lead, [&](std::byte* place) {
      item.Write(in, place);
      in += source.step;
    });
  }
  return scope.Finish();
}

namespace {

// Where mask[0, n) is true, counted from `first`; room for n indices. Returns how many there are.
int64_t FindTrue(const uint8_t* mask, int64_t n, int64_t first, int64_t* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {  // without a branch, which would be guessed wrong half the time
    out[found] = first + i;
    found += mask[i] != 0;
  }
  return found;
}

// Writes the indices of the true elements of a chunk of a mask of shape `shape`, one array for each
// axis.
void WriteIndices(const Mask& mask, const Dims& shape, int64_t chunk, std::vector<View>* results) {
  int64_t begin = chunk * Mask::kChunk, at = mask.before(chunk), left = mask.count_of(chunk);
  const int64_t end = mask.chunk_end(chunk);
  constexpr int64_t kBlock = 512;
  int64_t block[kBlock];
  const int last = shape.size() - 1;
  int64_t index[base::kMaxDims];
  int64_t rest = begin;
  for (int i = last; i >= 0; rest /= shape[i--]) index[i] = rest % shape[i];
  const auto out = [&](int i) {
    return reinterpret_cast<int64_t*>((*results)[static_cast<size_t>(i)].data) + at;
  };
  while (begin < end) {
    const int64_t n = std::min({kBlock, end - begin, shape[last] - index[last]});
    const int64_t found =
        std::min(left, FindTrue(mask.bytes() + begin, n, index[last], block));  // as CountedMask
    for (int i = 0; i < last; ++i) std::fill_n(out(i), found, index[i]);
    std::copy_n(block, found, out(last));
    at += found;
    left -= found;
    begin += n;
    index[last] += n;
    for (int i = last; i > 0 && index[i] == shape[i]; --i) {
      index[i] = 0;
      ++index[i - 1];
    }
  }
  for (int i = 0; i <= last; ++i) std::fill_n(out(i), left, int64_t{0});
}

}  // namespace

Result<std::vector<View>> Nonzero(const View& view, const RunOptions& options) {
  if (view.ndim() == 0) {
    return Status::Value("nonzero needs an array of at least one dimension");
  }
  if (!view.dtype().numeric()) {
    return Status::Type("nonzero needs a numeric array, not " + view.dtype().ToString());
  }
  RunScope scope;
  SPANFLOW_TRY(scope.Add(view));
  SPANFLOW_ASSIGN(const Mask mask, Mask::MakeNonzero(view, options));
  std::vector<View> results;
  for (int i = 0; i < view.ndim(); ++i) {
    SPANFLOW_ASSIGN(View result, Empty(base::DType(Kind::kI64), Dims{mask.count()}));
    results.push_back(std::move(result));
  }
  runtime::ParallelFor(
      mask.chunks(), 4,
      [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
          WriteIndices(mask, view.layout.shape, c, &results);
        }
      },
      options.threads);
  SPANFLOW_TRY(scope.Finish());
  return results;
}

}  // namespace spanflow::array
