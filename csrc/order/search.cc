#include "order/search.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "array/create.h"
#include "array/items.h"
#include "array/loader.h"
#include "array/promote.h"
#include "array/split.h"
#include "order/key_sort.h"
#include "order/lines.h"
#include "order/ranks.h"
#include "order/sort.h"
#include "simd/kernels.h"

namespace spanflow::order {
namespace {

using array::Empty;
using array::LoadPlan;
using array::OrderedLoad;
using array::Promote;
using array::RunScope;
using base::DType;
using base::Kind;
using base::Result;
using base::Status;

constexpr int64_t kBlock = 512;  // searches at a time

// body(keys, n, at) for the ascending keys of all elements, taken as `kind`, in C order, block by
// block; `at` is the place of the first.
template <class Body>
void ForKeys(const View& view, Kind kind, const RunOptions& options, const Body& body) {
  const LoadPlan plan = OrderedLoad(view, kind);
  const simd::CastFn encode = simd::FindKeys(kind).encode[false][true];
  // A search is some dozen steps: worth a second thread sooner than a pass over so many bytes.
  Split(view.size(), 64, options, [&](int64_t begin, int64_t end) {
    alignas(8) std::byte keys[kBlock * 8];
    ForEachPiece(plan, begin, end, kBlock, [&](const std::byte* items, int64_t i, int64_t n) {
      encode(items, keys, static_cast<size_t>(n));
      body(keys, n, begin + i);
    });
  });
}

Result<Kind> CommonKind(const char* name, const View& a, const View& b) {
  const Kind kind = Promote(a.dtype().kind(), b.dtype().kind());
  SPANFLOW_TRY(CheckOrdered(name, kind));
  return kind;
}

Kind UnsignedKind(int64_t bytes) {
  return bytes == 1 ? Kind::kU8 : bytes == 2 ? Kind::kU16 : bytes == 4 ? Kind::kU32 : Kind::kU64;
}

template <class Key>
struct Keys {
  std::unique_ptr<Key[]> memory, spare;
  Key* data;
  int64_t count;

  explicit Keys(int64_t n)
      : memory(std::make_unique_for_overwrite<Key[]>(static_cast<size_t>(n))),
        data(memory.get()),
        count(n) {}

  void Sort(const RunOptions& options) {
    if (sizeof(Key) >= 4 && count >= kLongLine) {
      spare = std::make_unique_for_overwrite<Key[]>(static_cast<size_t>(count));
      data = SortKeys(data, spare.get(), count, options);
    } else {
      SortKeys(data, count);
    }
  }

  // Of sorted keys the distinct ones.
  void DropEqual() {
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i) {  // without a branch
      const Key key = data[i];
      kept += i > 0 && key != data[kept];
      data[kept] = key;
    }
    count = std::min(count, kept + 1);
  }
};

// The ascending keys of all elements.
template <class Key>
Keys<Key> KeysOf(const View& view, Kind kind, const RunOptions& options) {
  Keys<Key> keys(view.size());
  if (keys.count == 0) return keys;
  ForKeys(view, kind, options, [&](const std::byte* block, int64_t n, int64_t at) {
    std::memcpy(keys.data + at, block, static_cast<size_t>(n) * sizeof(Key));
  });
  return keys;
}

// Whether keys are among the sorted ones; those of `nan` never are.
template <class Key>
void FindKeys(const Keys<Key>& among, const std::byte* keys, int64_t n, bool nan_is_last,
              bool invert, uint8_t* out) {
  int64_t places[kBlock];
  const simd::SortedRun run{reinterpret_cast<const std::byte*>(among.data), sizeof(Key),
                            among.count};
  simd::FindKeys(UnsignedKind(sizeof(Key)))
      .locate(run, keys, static_cast<size_t>(n), false, places);
  for (int64_t i = 0; i < n; ++i) {
    Key key;
    std::memcpy(&key, keys + i * static_cast<int64_t>(sizeof(Key)), sizeof(Key));
    const bool nan = nan_is_last && key == static_cast<Key>(~Key{0});
    const bool found = places[i] < among.count && among.data[places[i]] == key && !nan;
    out[i] = found != invert;
  }
}

// Writes which of the distinct keys each element is, how often each occurs and where first.
template <class Key>
Status FillDistinct(const Key* keys, int64_t n, DistinctHow how, const RunOptions& options,
                    Distinct* result) {
  const auto ranks = std::make_unique_for_overwrite<int64_t[]>(static_cast<size_t>(n));
  int64_t* const order = ranks.get();
  RankKeys(keys, n, order, options);
  std::vector<int64_t> begins;  // of the runs of equal keys, in order
  for (int64_t i = 0; i < n; ++i) {
    if (i == 0 || keys[order[i]] != keys[order[i - 1]]) begins.push_back(i);
  }
  const auto count = static_cast<int64_t>(begins.size());
  begins.push_back(n);
  const auto make = [&](bool wanted, const base::Dims& shape, View* view) -> Status {
    if (!wanted) return Status::Ok();
    SPANFLOW_ASSIGN(*view, Empty(DType(Kind::kI64), shape));
    return Status::Ok();
  };
  SPANFLOW_TRY(make(how.first, {count}, &result->first));
  SPANFLOW_TRY(make(how.inverse, {n}, &result->inverse));
  SPANFLOW_TRY(make(how.counts, {count}, &result->counts));
  SPANFLOW_ASSIGN(result->values, Empty(result->values.dtype(), {count}));
  const auto integers = [](const View& view) { return reinterpret_cast<int64_t*>(view.data); };
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = begins[static_cast<size_t>(i)], end = begins[static_cast<size_t>(i) + 1];
    reinterpret_cast<Key*>(result->values.data)[i] = keys[order[begin]];
    if (how.first) integers(result->first)[i] = order[begin];
    if (how.counts) integers(result->counts)[i] = end - begin;
    for (int64_t k = begin; k < end && how.inverse; ++k) integers(result->inverse)[order[k]] = i;
  }
  return Status::Ok();
}

}  // namespace

Result<View> SearchSorted(const View& sorted, const View& wanted, bool behind_equal,
                          const RunOptions& options) {
  if (sorted.ndim() != 1) {
    return Status::Value("searchsorted() searches an array of one dimension, got shape " +
                         base::ToString(sorted.layout.shape));
  }
  SPANFLOW_ASSIGN(const Kind kind, CommonKind("searchsorted", sorted, wanted));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(sorted));
  SPANFLOW_TRY(scope.Add(wanted));
  SPANFLOW_ASSIGN(View result, Empty(DType(Kind::kI64), wanted.layout.shape));
  if (result.size() == 0) return result;
  // Strides do not matter to a search; a copy is made where items are of another kind.
  const bool as_it_is = sorted.dtype() == DType(kind);
  View run = sorted;
  if (!as_it_is) {
    SPANFLOW_ASSIGN(run, PlainOf(sorted, kind, options));
  }
  const simd::SortedRun among{run.data, run.layout.strides[0], run.size()};
  const auto locate = simd::FindKeys(kind).locate;
  ForKeys(wanted, kind, options, [&](const std::byte* keys, int64_t n, int64_t at) {
    locate(among, keys, static_cast<size_t>(n), behind_equal, result.data + at * 8);
  });
  SPANFLOW_TRY(scope.Finish());
  return result;
}

Result<View> IsIn(const View& view, const View& values, bool invert, const RunOptions& options) {
  SPANFLOW_ASSIGN(const Kind kind, CommonKind("isin", view, values));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(view));
  SPANFLOW_TRY(scope.Add(values));
  SPANFLOW_ASSIGN(View result, Empty(DType(Kind::kBool), view.layout.shape));
  if (result.size() == 0) return result;
  auto* const out = reinterpret_cast<uint8_t*>(result.data);
  WithKey(DType(kind).itemsize(), [&](auto key) {
    auto among = KeysOf<decltype(key)>(values, kind, options);
    among.Sort(options);
    among.DropEqual();
    ForKeys(view, kind, options, [&](const std::byte* keys, int64_t n, int64_t at) {
      FindKeys(among, keys, n, base::IsFloat(kind), invert, out + at);
    });
  });
  SPANFLOW_TRY(scope.Finish());
  return result;
}

Result<Distinct> Unique(const View& view, DistinctHow how, const RunOptions& options) {
  const Kind kind = view.dtype().kind();
  SPANFLOW_TRY(CheckOrdered("unique", kind));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(view));
  Distinct result;
  result.values.layout.dtype = view.dtype().Native();
  const Status status = WithKey(view.dtype().itemsize(), [&](auto key) -> Status {
    using Key = decltype(key);
    auto keys = KeysOf<Key>(view, kind, options);
    if (how.first || how.inverse || how.counts) {
      SPANFLOW_TRY(FillDistinct(keys.data, keys.count, how, options, &result));
    } else {
      keys.Sort(options);
      keys.DropEqual();
      SPANFLOW_ASSIGN(result.values, Empty(result.values.dtype(), {keys.count}));
      std::copy_n(keys.data, keys.count, reinterpret_cast<Key*>(result.values.data));
    }
    const auto count = static_cast<size_t>(result.values.size());
    simd::FindKeys(kind).decode[false](result.values.data, result.values.data, count);
    return Status::Ok();
  });
  if (!status.ok()) return status.Copy();
  SPANFLOW_TRY(scope.Finish());
  return result;
}

}  // namespace spanflow::order
