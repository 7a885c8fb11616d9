#include "array/precise_sum.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "array/copy.h"
#include "array/create.h"
#include "array/fold.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/promote.h"
#include "array/reduce_axes.h"
#include "array/split.h"
#include "base/exact_sum.h"
#include "runtime/pool.h"

namespace spanflow::array {
namespace {

using base::ExactSum;
using base::Kind;
using base::Status;

// Of the real and the imaginary parts; of real numbers every other one goes to `im`, because each
// addition waits for the one before.
struct Parts {
  ExactSum re, im;
};

template <class T>
void AddItems(const void* values, int64_t n, bool complex, Parts* to) {
  const auto* items = static_cast<const std::byte*>(values);
  const auto add = [&items](ExactSum* sum) {
    T item;
    std::memcpy(&item, items, sizeof(T));
    sum->Add(static_cast<double>(item));
    items += sizeof(T);
  };
  const int64_t lanes = complex ? 2 * n : n;
  for (int64_t i = 0; i + 1 < lanes; i += 2) {
    add(&to->re);
    add(&to->im);
  }
  if (lanes % 2 != 0) add(&to->re);
}

template <class T>
void WriteSum(Parts sum, bool complex, std::byte* out) {
  const auto write = [out](const ExactSum& part, size_t index) {
    T value;
    if constexpr (sizeof(T) == 4)
      value = part.ToFloat();
    else
      value = part.ToDouble();
    std::memcpy(out + index * sizeof(T), &value, sizeof(T));
  };
  if (!complex) sum.re.Merge(sum.im);
  write(sum.re, 0);
  if (complex) write(sum.im, 1);
}

// The results, one after the other, each split over the threads where it is large.
class Rows {
 public:
  Rows(const View& in, const AxisSet& reduced)
      : in_(in), lines_(in, reduced, ComputeKind(in.dtype().kind())) {}

  template <class T>
  void Run(std::byte* results, const RunOptions& options) const {
    const bool complex = base::IsComplex(in_.dtype().kind());
    const size_t size = sizeof(T) * (complex ? 2 : 1);
    if (lines_.length > kGrain) {
      Cursor row;
      row.Start(&lines_.starts, 0);
      for (int64_t r = 0; r < lines_.count; ++r, row.Advance(1), results += size) {
        WriteSum<T>(SumLong<T>(row.pointer() - in_.data, options), complex, results);
      }
      return;
    }
    const auto body = [&](int64_t begin, int64_t end) {
      Cursor row;
      row.Start(&lines_.starts, begin);
      for (; begin < end; ++begin, row.Advance(1)) {
        Parts sum;
        AddRange<T>(row.pointer() - in_.data, 0, lines_.length, &sum);
        WriteSum<T>(sum, complex, results + static_cast<size_t>(begin) * size);
      }
    };
    const int64_t row_bytes = lines_.length * in_.dtype().itemsize();
    runtime::ParallelFor(lines_.count, std::max<int64_t>(kChunkBytes / row_bytes, 1), body,
                         options.threads);
  }

 private:
  template <class T>
  void AddRange(ptrdiff_t offset, int64_t begin, int64_t end, Parts* to) const {
    Scratch scratch;
    Loader loader;
    loader.Start(&lines_.load, &scratch, begin, offset);
    while (begin < end) {
      const int64_t n = loader.Prefer(std::min(lines_.load.capacity, end - begin));
      AddItems<T>(loader.Next(n), n, base::IsComplex(in_.dtype().kind()), to);
      begin += n;
    }
  }

  template <class T>
  Parts SumLong(ptrdiff_t offset, const RunOptions& options) const {
    std::mutex mutex;
    Parts total;
    const auto body = [&](int64_t begin, int64_t end) {
      Parts sum;
      AddRange<T>(offset, begin * kGrain, std::min(end * kGrain, lines_.length), &sum);
      const std::lock_guard lock(mutex);
      total.re.Merge(sum.re);
      total.im.Merge(sum.im);
    };
    runtime::ParallelFor((lines_.length + kGrain - 1) / kGrain, 4, body, options.threads);
    return total;
  }

  const View& in_;
  const ResultLines lines_;
};

}  // namespace

Status PreciseSum(const View& in, const AxisSet& reduced, const View& out,
                  const RunOptions& options) {
  const Kind kind = ComputeKind(in.dtype().kind());
  const base::Dims shape = ReducedShape(in.layout.shape, reduced, false);
  SPANFLOW_ASSIGN(const View results, Empty(base::DType(kind), shape, true));
  if (in.size() != 0 && out.size() != 0) {
    const Rows rows(in, reduced);
    if (RealKind(kind) == Kind::kF32)
      rows.Run<float>(results.data, options);
    else
      rows.Run<double>(results.data, options);
  }
  SPANFLOW_ASSIGN(base::Layout layout, base::Reshape(results.layout, out.layout.shape));
  return Copy(results.With(std::move(layout)), out, options);
}

}  // namespace spanflow::array
