#include "order/count.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "array/create.h"
#include "array/items.h"
#include "array/loader.h"
#include "array/reduce.h"
#include "array/split.h"
#include "simd/kernels.h"

namespace spanflow::order {
namespace {

using array::Empty;
using array::kChunkBytes;
using array::kNoLimit;
using array::Loader;
using array::LoadPlan;
using array::OrderedLoad;
using array::ReduceMany;
using array::RunScope;
using array::Scratch;
using array::Split;
using base::DType;
using base::Kind;
using base::Result;
using base::Status;

// Equal numbers behind one another would wait for each other's counter: they take turns with four
// tables of them.
constexpr size_t kTables = 4;
// Tables that do not fit into the L2 cache together are not worth more than one.
constexpr size_t kManyBins = size_t{1} << 13;
constexpr int64_t kBlock = 512;

// A view's elements as T, in C order.
template <class T>
class Reader {
 public:
  Reader(const View& view, Kind kind) : plan_(OrderedLoad(view, kind)) {}

  class Cursor {
   public:
    Cursor(const Reader& reader, int64_t begin) : plan_(&reader.plan_) {
      loader_.Start(plan_, &scratch_, begin);
    }
    // At most n of the next elements; sets n to how many.
    const T* Next(int64_t* n) {
      *n = loader_.Prefer(std::min({plan_->capacity, kBlock, *n}));
      std::memcpy(items_, loader_.Next(*n), static_cast<size_t>(*n) * sizeof(T));
      return items_;
    }

   private:
    const LoadPlan* plan_;
    Scratch scratch_;
    Loader loader_;
    T items_[kBlock];
  };

 private:
  LoadPlan plan_;
};

// Counters of one thread: bins and, at the end, one for what belongs to none of them.
class Counters {
 public:
  explicit Counters(size_t bins)
      : bins_(bins), tables_(bins < kManyBins ? kTables : 1), counts_((bins + 1) * tables_) {}

  // place(i) is the bin of item i, or anything that is larger.
  template <class Place>
  void Add(int64_t n, const Place& place) {
    uint64_t* const tables[kTables] = {at(0), at(1 % tables_), at(2 % tables_), at(3 % tables_)};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
      for (size_t t = 0; t < kTables; ++t) ++tables[t][Bin(place(i + static_cast<int64_t>(t)))];
    }
    for (; i < n; ++i) ++tables[0][Bin(place(i))];
  }
  void AddTo(int64_t* out) const {
    for (size_t table = 0; table < tables_; ++table) {
      const uint64_t* const counts = counts_.data() + table * (bins_ + 1);
      for (size_t bin = 0; bin < bins_; ++bin) out[bin] += static_cast<int64_t>(counts[bin]);
    }
  }

 private:
  uint64_t* at(size_t table) { return counts_.data() + table * (bins_ + 1); }
  size_t Bin(uint64_t place) const { return std::min<uint64_t>(place, bins_); }

  size_t bins_, tables_;
  std::vector<uint64_t> counts_;
};

// Fewer items than bins: counters beside the result would cost more than the counting.
template <class T, class Place>
void CountFew(const Reader<T>& reader, int64_t size, size_t bins, int64_t* out,
              const Place& place) {
  typename Reader<T>::Cursor cursor(reader, 0);
  for (int64_t left = size, n; left > 0; left -= n) {
    n = left;
    const T* const items = cursor.Next(&n);
    for (int64_t i = 0; i < n; ++i) {
      if (const uint64_t bin = place(items[i]); bin < bins) ++out[bin];
    }
  }
}

// Counts items of x in parts, each with counters of its own: as many parts as are worth their
// memory. place(item) as for Counters.
template <class T, class Place>
void CountItems(const View& x, Kind kind, size_t bins, int64_t* out, const RunOptions& options,
                const Place& place) {
  const Reader<T> reader(x, kind);
  const auto cost = static_cast<int64_t>(bins) * 8;
  if (x.size() < static_cast<int64_t>(bins)) return CountFew(reader, x.size(), bins, out, place);
  const int64_t grain = std::max({4 * kChunkBytes / x.dtype().itemsize(), 4 * cost, int64_t{1}});
  std::mutex mutex;
  const auto body = [&](int64_t begin, int64_t end) {
    Counters counters(bins);
    typename Reader<T>::Cursor cursor(reader, begin);
    for (int64_t n; begin < end; begin += n) {
      n = end - begin;
      const T* const items = cursor.Next(&n);
      counters.Add(n, [&](int64_t i) { return place(items[i]); });
    }
    const std::lock_guard lock(mutex);
    counters.AddTo(out);
  };
  runtime::ParallelFor(x.size(), grain, body, options.threads);
}

// Every byte is a number, so nothing needs to be loaded, cast or checked before: eight at a time.
class ByteCounters {
 public:
  void Add(const std::byte* bytes, int64_t n) {
    for (; n >= 8; n -= 8, bytes += 8) {
      uint64_t eight;
      std::memcpy(&eight, bytes, 8);
#pragma GCC unroll 8
      for (size_t i = 0; i < 8; ++i, eight >>= 8) ++counts_[i % kTables][eight & 0xFF];
    }
    for (; n > 0; --n, ++bytes) ++counts_[0][std::to_integer<size_t>(*bytes)];
  }
  void AddTo(int64_t* out) const {
    for (const auto& table : counts_) {
      for (size_t i = 0; i < 256; ++i) out[i] += table[i];
    }
  }

 private:
  int64_t counts_[kTables][256] = {};
};

void CountBytes(const View& x, std::span<int64_t, 256> counts, const RunOptions& options) {
  const LoadPlan plan = OrderedLoad(x, x.dtype().kind());
  std::mutex mutex;
  const auto body = [&](int64_t begin, int64_t end) {
    ByteCounters counters;
    ForEachPiece(plan, begin, end, kNoLimit,
                 [&](const std::byte* items, int64_t, int64_t n) { counters.Add(items, n); });
    const std::lock_guard lock(mutex);
    counters.AddTo(counts.data());
  };
  Split(x.size(), 1, options, body);
}

// sums[bin of item] += weight, in order; place(item) as for Counters.
template <class T, class Place>
void AddWeights(const View& x, Kind kind, const View& weights, size_t bins, double* sums,
                const Place& place) {
  const Reader<T> items(x, kind);
  const Reader<double> factors(weights, Kind::kF64);
  typename Reader<T>::Cursor item(items, 0);
  Reader<double>::Cursor factor(factors, 0);
  // Blocks of the two may end at different places.
  const T* values = nullptr;
  int64_t values_left = 0;
  for (int64_t left = x.size(); left > 0;) {
    int64_t n = left;
    const double* const some = factor.Next(&n);
    for (int64_t i = 0; i < n; ++i) {
      if (values_left == 0) {
        values_left = left - i;
        values = item.Next(&values_left);
      }
      const uint64_t bin = place(*values++);
      if (bin < bins) sums[bin] += some[i];
      --values_left;
    }
    left -= n;
  }
}

Status TooLow(const std::string& number) {
  return Status::Value("bincount(): " + number +
                       " is negative; only numbers from 0 on can be counted");
}

// The largest number of x plus one, or an error for those that are no places.
Result<int64_t> NeededBins(const View& x, const RunOptions& options) {
  if (x.size() == 0) return 0;
  static constexpr simd::Reduction kExtremes[] = {simd::Reduction::kMin, simd::Reduction::kMax};
  alignas(8) int64_t found[2];
  const auto one = [&](int64_t* to) {
    return View{{}, reinterpret_cast<std::byte*>(to), {DType(Kind::kI64), {}, {}}, false};
  };
  const View outs[] = {one(&found[0]), one(&found[1])};
  SPANFLOW_TRY(ReduceMany(kExtremes, x, 0, outs, options));
  const bool huge = x.dtype().kind() == Kind::kU64 && (found[0] < 0 || found[1] < 0);
  if (!huge && found[0] >= 0 && found[1] < (int64_t{1} << 60)) return found[1] + 1;
  if (huge || found[0] >= 0) return Status::Value("bincount(): a number is too large to count to");
  return TooLow(std::to_string(found[0]));
}

Result<View> ZeroBins(size_t bins, const View* weights) {
  const DType dtype(weights == nullptr ? Kind::kI64 : Kind::kF64);
  return Empty(dtype, {static_cast<int64_t>(bins)}, true);
}

// Numbers of one byte are all counted before it is known which there are.
Result<View> BinCountBytes(const View& x, int64_t at_least, const RunOptions& options) {
  int64_t all[256] = {};
  if (x.size() != 0) CountBytes(x, all, options);
  int64_t needed = 256;
  while (needed > 0 && all[needed - 1] == 0) --needed;
  if (x.dtype().kind() == Kind::kI8 && needed > 128) return TooLow("a number");
  SPANFLOW_ASSIGN(View result, ZeroBins(static_cast<size_t>(std::max(needed, at_least)), nullptr));
  std::copy_n(all, needed, reinterpret_cast<int64_t*>(result.data));
  return result;
}

// Places among edges that are regular but for their rounding: a guess, made right by the edges.
class Bins {
 public:
  explicit Bins(std::span<const double> edges)
      : edges_(edges),
        count_(static_cast<int64_t>(edges.size()) - 1),
        scale_(static_cast<double>(count_) / (edges.back() - edges.front())) {}

  uint64_t PlaceOf(double value) const {
    if (!(value >= edges_.front() && value <= edges_.back())) return ~uint64_t{0};
    const double guess = (value - edges_.front()) * scale_;
    auto bin = std::clamp<int64_t>(static_cast<int64_t>(guess), 0, count_ - 1);
    while (bin > 0 && value < edges_[static_cast<size_t>(bin)]) --bin;
    while (bin < count_ - 1 && value >= edges_[static_cast<size_t>(bin) + 1]) ++bin;
    return static_cast<uint64_t>(bin);
  }
  size_t size() const { return static_cast<size_t>(count_); }

 private:
  std::span<const double> edges_;
  int64_t count_;
  double scale_;
};

Status CheckWeights(const char* name, const View& x, const View* weights) {
  if (weights == nullptr) return Status::Ok();
  if (base::IsComplex(weights->dtype().kind()) || !weights->dtype().numeric()) {
    return Status::Type(std::string(name) + "(): weights are real numbers, not " +
                        weights->dtype().ToString());
  }
  if (weights->layout.shape == x.layout.shape) return Status::Ok();
  return Status::Value(std::string(name) + "(): weights have shape " +
                       base::ToString(weights->layout.shape) + ", but the numbers have shape " +
                       base::ToString(x.layout.shape));
}

// A value that lies between edges is looked for where equal bins would have it.
Status CheckEdges(std::span<const double> edges) {
  bool ascend = std::isfinite(edges.back() - edges.front());
  for (size_t i = 0; ascend && i + 1 < edges.size(); ++i) ascend = edges[i] < edges[i + 1];
  if (ascend) return Status::Ok();
  return Status::Value("histogram(): " + std::to_string(edges.size() - 1) +
                       " bins of a finite width do not fit between the limits");
}

Status Borrow(const View& x, const View* weights, RunScope* scope) {
  SPANFLOW_TRY(scope->Add(x));
  return weights == nullptr ? Status::Ok() : scope->Add(*weights);
}

}  // namespace

Result<View> BinCount(const View& x, const View* weights, int64_t at_least,
                      const RunOptions& options) {
  if (x.ndim() != 1) {
    return Status::Value("bincount() takes an array of one dimension, got shape " +
                         base::ToString(x.layout.shape));
  }
  const Kind kind = x.dtype().kind();
  if (!base::IsInteger(kind) && kind != Kind::kBool) {
    return Status::Type("bincount() counts integers, not " + x.dtype().ToString());
  }
  if (at_least < 0) {
    return Status::Value("bincount(): minlength is " + std::to_string(at_least) +
                         ", but must not be negative");
  }
  SPANFLOW_TRY(CheckWeights("bincount", x, weights));
  RunScope scope;
  SPANFLOW_TRY(Borrow(x, weights, &scope));
  if (weights == nullptr && (kind == Kind::kU8 || kind == Kind::kI8)) {
    SPANFLOW_ASSIGN(View result, BinCountBytes(x, at_least, options));
    SPANFLOW_TRY(scope.Finish());
    return result;
  }
  SPANFLOW_ASSIGN(const int64_t needed, NeededBins(x, options));
  const auto bins = static_cast<size_t>(std::max(needed, at_least));
  SPANFLOW_ASSIGN(View result, ZeroBins(bins, weights));
  auto* const counts = reinterpret_cast<int64_t*>(result.data);
  if (x.size() == 0) return result;
  const auto place = [](int64_t value) { return static_cast<uint64_t>(value); };
  if (weights != nullptr) {
    AddWeights<int64_t>(x, Kind::kI64, *weights, bins, reinterpret_cast<double*>(result.data),
                        place);
  } else {
    CountItems<int64_t>(x, Kind::kI64, bins, counts, options, place);
  }
  SPANFLOW_TRY(scope.Finish());
  return result;
}

Result<View> Histogram(const View& view, std::span<const double> edges, const View* weights,
                       const RunOptions& options) {
  if (!view.dtype().numeric() || base::IsComplex(view.dtype().kind())) {
    return Status::Type("histogram() counts real numbers, not " + view.dtype().ToString());
  }
  SPANFLOW_TRY(CheckWeights("histogram", view, weights));
  SPANFLOW_TRY(CheckEdges(edges));
  RunScope scope;
  SPANFLOW_TRY(Borrow(view, weights, &scope));
  const Bins bins(edges);
  SPANFLOW_ASSIGN(View result, ZeroBins(bins.size(), weights));
  if (view.size() == 0) return result;
  const auto place = [&bins](double value) { return bins.PlaceOf(value); };
  if (weights != nullptr) {
    AddWeights<double>(view, Kind::kF64, *weights, bins.size(),
                       reinterpret_cast<double*>(result.data), place);
  } else {
    CountItems<double>(view, Kind::kF64, bins.size(), reinterpret_cast<int64_t*>(result.data),
                       options, place);
  }
  SPANFLOW_TRY(scope.Finish());
  return result;
}

}  // namespace spanflow::order
