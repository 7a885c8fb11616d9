#include "order/sort.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "array/assign.h"
#include "array/copy.h"
#include "array/create.h"
#include "array/promote.h"
#include "array/split.h"
#include "order/key_sort.h"
#include "order/lines.h"
#include "order/ranks.h"
#include "runtime/pool.h"
#include "simd/kernels.h"

namespace spanflow::order {
namespace {

using array::CheckKinds;
using array::CheckWritable;
using array::Copy;
using array::Empty;
using array::RunScope;
using base::DType;
using base::Kind;
using base::Result;
using base::Status;

// Rows of `in` along its last axis, one behind the other and native.
struct Rows {
  View items;
  simd::KeyKernel kernel;
  int64_t size;           // bytes of an item
  int64_t length, count;  // elements of a row, rows

  Rows(View plain, int64_t row_length)
      : items(std::move(plain)),
        kernel(simd::FindKeys(items.dtype().kind())),
        size(items.dtype().itemsize()),
        length(row_length),
        count(items.size() / length) {}

  const std::byte* at(int64_t row) const { return items.data + row * length * size; }
  int64_t row_bytes() const { return length * size; }
};

// body(begin, end) over the rows, for rows that are one thread's work.
template <class Body>
void ForRows(const Rows& rows, const RunOptions& options, const Body& body) {
  Split(rows.count, rows.row_bytes() + 8 * rows.length, options, body);
}

template <class Key>
std::unique_ptr<Key[]> Buffer(int64_t n) {
  return std::make_unique_for_overwrite<Key[]>(static_cast<size_t>(n));
}

// Items to keys or back, n of them, split over the threads.
void Recode(simd::CastFn recode, const void* in, void* out, int64_t n, int64_t size,
            const RunOptions& options) {
  Split(n, 2 * size, options, [&](int64_t begin, int64_t end) {
    recode(static_cast<const std::byte*>(in) + begin * size,
           static_cast<std::byte*>(out) + begin * size, static_cast<size_t>(end - begin));
  });
}

// Where results are made: the output itself, or memory of its own that is copied there. What is
// sorted in place is never worked on there, where another thread may write, or pages may go,
// between two looks at a key; and an error leaves it as it was.
class Target {
 public:
  static Result<Target> Make(const View& out, bool is_input = false) {
    const bool aligned = reinterpret_cast<uintptr_t>(out.data) % 8 == 0;
    if (IsPlain(out) && aligned && !is_input) return Target(out, out);
    SPANFLOW_ASSIGN(View work, Empty(out.dtype().Native(), out.layout.shape));
    return Target(out, std::move(work));
  }

  const View& work() const { return work_; }
  Status Finish(const RunOptions& options) const {
    return work_.data == out_.data ? Status::Ok() : Copy(work_, out_, options);
  }

 private:
  Target(const View& out, View work) : out_(out), work_(std::move(work)) {}

  View out_, work_;
};

template <class Key>
void SortRows(const Rows& rows, bool descending, std::byte* out, const RunOptions& options) {
  const simd::CastFn encode = rows.kernel.encode[descending][false];
  const simd::CastFn decode = rows.kernel.decode[descending];
  const int64_t length = rows.length;
  Key* const keys = reinterpret_cast<Key*>(out);
  if (length >= kLongLine) {
    const auto spare = Buffer<Key>(sizeof(Key) < 4 ? 0 : length);
    for (int64_t r = 0; r < rows.count; ++r) {
      Key* const row = keys + r * length;
      Recode(encode, rows.at(r), row, length, rows.size, options);
      Recode(decode, SortKeys(row, spare.get(), length, options), row, length, rows.size, options);
    }
    return;
  }
  ForRows(rows, options, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      Key* const row = keys + r * length;
      encode(rows.at(r), row, static_cast<size_t>(length));
      SortKeys(row, length);
      decode(row, row, static_cast<size_t>(length));
    }
  });
}

// Each place is selected within what the ones before left.
template <class Key>
void PartitionRows(const Rows& rows, std::span<const int64_t> kth, std::byte* out,
                   const RunOptions& options) {
  const simd::CastFn encode = rows.kernel.encode[false][false];
  const simd::CastFn decode = rows.kernel.decode[false];
  const int64_t length = rows.length;
  ForRows(rows, options, [&](int64_t begin, int64_t end) {
    const auto spare = Buffer<Key>(length);
    for (int64_t r = begin; r < end; ++r) {
      Key* const row = reinterpret_cast<Key*>(out) + r * length;
      encode(rows.at(r), row, static_cast<size_t>(length));
      int64_t from = 0;
      for (const int64_t place : kth) {
        if (place < from) continue;
        SelectKey(row + from, spare.get(), length - from, place - from);
        from = place + 1;
      }
      decode(row, row, static_cast<size_t>(length));
    }
  });
}

template <class Key>
void RankRows(const Rows& rows, bool descending, int64_t* places, const RunOptions& options) {
  const simd::CastFn encode = rows.kernel.encode[descending][true];
  const int64_t length = rows.length;
  if (length >= kLongLine) {
    const auto keys = Buffer<Key>(length);
    for (int64_t r = 0; r < rows.count; ++r) {
      Recode(encode, rows.at(r), keys.get(), length, rows.size, options);
      RankKeys(keys.get(), length, places + r * length, options);
    }
    return;
  }
  ForRows(rows, options, [&](int64_t begin, int64_t end) {
    const auto keys = Buffer<Key>(length);
    for (int64_t r = begin; r < end; ++r) {
      encode(rows.at(r), keys.get(), static_cast<size_t>(length));
      RankKeys(keys.get(), length, places + r * length, RunOptions{1});
    }
  });
}

// items[places], `taken` of them from each row.
void GatherRows(const Rows& rows, const int64_t* places, int64_t taken, std::byte* out,
                const RunOptions& options) {
  WithKey(rows.size, [&](auto key) {
    constexpr size_t kSize = sizeof(key);
    Split(rows.count * taken, 2 * rows.size + 8, options, [&](int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t row = begin / taken, stop = std::min(end, (row + 1) * taken);
        const std::byte* const items = rows.at(row);
        for (; begin < stop; ++begin) {
          std::memcpy(out + begin * rows.size, items + places[begin] * rows.size, kSize);
        }
      }
    });
  });
}

// The `wanted` smallest of keys that are offered with ascending places.
template <class Key>
class Smallest {
 public:
  struct Item {
    Key key;
    int64_t place;
    bool operator<(const Item& other) const {
      return key != other.key ? key < other.key : place < other.place;
    }
  };

  explicit Smallest(int64_t wanted) : wanted_(static_cast<size_t>(wanted)) {}

  void Offer(const Key* keys, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (keys[i] >= limit_ && full_) continue;
      items_.push_back({keys[i], i});
      if (items_.size() == 2 * wanted_) Cut();
    }
  }
  void Merge(const Smallest& other) {
    items_.insert(items_.end(), other.items_.begin(), other.items_.end());
    if (items_.size() > wanted_) Cut();
  }
  void Write(int64_t* places) {
    if (items_.size() > wanted_) Cut();
    std::sort(items_.begin(), items_.end());
    for (const Item& item : items_) *places++ = item.place;
  }

 private:
  // What comes later and is not smaller than the last one is not wanted.
  void Cut() {
    const auto last = items_.begin() + static_cast<ptrdiff_t>(wanted_) - 1;
    std::nth_element(items_.begin(), last, items_.end());
    limit_ = last->key;
    full_ = true;
    items_.resize(wanted_);
  }

  size_t wanted_;
  std::vector<Item> items_;
  Key limit_{};
  bool full_ = false;
};

template <class Key>
void TopOfRows(const Rows& rows, bool descending, int64_t wanted, int64_t* places,
               const RunOptions& options) {
  const simd::CastFn encode = rows.kernel.encode[descending][true];
  constexpr int64_t kBlock = 1024;
  const auto offer = [&](int64_t row, int64_t begin, int64_t end, Smallest<Key>* to) {
    Key keys[kBlock];
    for (; begin < end; begin += kBlock) {
      const int64_t n = std::min(kBlock, end - begin);
      encode(rows.at(row) + begin * rows.size, keys, static_cast<size_t>(n));
      to->Offer(keys - begin, begin, begin + n);
    }
  };
  if (rows.length < kLongLine) {
    return ForRows(rows, options, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        Smallest<Key> smallest(wanted);
        offer(r, 0, rows.length, &smallest);
        smallest.Write(places + r * wanted);
      }
    });
  }
  for (int64_t r = 0; r < rows.count; ++r) {
    Smallest<Key> all(wanted);
    std::mutex mutex;
    Split(rows.length, rows.size, options, [&](int64_t begin, int64_t end) {
      Smallest<Key> part(wanted);
      offer(r, begin, end, &part);
      const std::lock_guard lock(mutex);
      all.Merge(part);
    });
    all.Write(places + r * wanted);
  }
}

// Both views are borrowed while work(rows) runs.
template <class Work>
Status OverRows(const View& in, int axis, const View& out, const RunOptions& options,
                const Work& work) {
  SPANFLOW_TRY(CheckOrdered("sort", in.dtype().kind()));
  SPANFLOW_TRY(CheckWritable(out));
  if (in.size() == 0 || out.size() == 0) return Status::Ok();
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  const View last = AxisLast(in, axis);
  SPANFLOW_ASSIGN(View plain, Plain(last, options));
  SPANFLOW_TRY(work(Rows(std::move(plain), in.layout.shape[axis])));
  return scope.Finish();
}

}  // namespace

Status CheckOrdered(const char* name, Kind kind) {
  return CheckKinds(name, simd::kBoolKind | simd::kRealKinds, kind);
}

Status Sort(const View& in, int axis, SortHow how, const View& out, const RunOptions& options) {
  return OverRows(in, axis, out, options, [&](const Rows& rows) -> Status {
    SPANFLOW_ASSIGN(const Target target, Target::Make(AxisLast(out, axis), out.data == in.data));
    std::byte* const to = target.work().data;
    if (how.stable && base::IsFloat(in.dtype().kind())) {
      const auto places = Buffer<int64_t>(in.size());
      WithKey(rows.size, [&](auto key) {
        RankRows<decltype(key)>(rows, how.descending, places.get(), options);
      });
      GatherRows(rows, places.get(), rows.length, to, options);
    } else {
      WithKey(rows.size,
              [&](auto key) { SortRows<decltype(key)>(rows, how.descending, to, options); });
    }
    return target.Finish(options);
  });
}

Status Partition(const View& in, int axis, std::span<const int64_t> kth, const View& out,
                 const RunOptions& options) {
  return OverRows(in, axis, out, options, [&](const Rows& rows) -> Status {
    SPANFLOW_ASSIGN(const Target target, Target::Make(AxisLast(out, axis), out.data == in.data));
    WithKey(rows.size, [&](auto key) {
      PartitionRows<decltype(key)>(rows, kth, target.work().data, options);
    });
    return target.Finish(options);
  });
}

Status ArgSort(const View& in, int axis, bool descending, const View& out,
               const RunOptions& options) {
  return OverRows(in, axis, out, options, [&](const Rows& rows) -> Status {
    SPANFLOW_ASSIGN(const Target target, Target::Make(AxisLast(out, axis)));
    auto* const places = reinterpret_cast<int64_t*>(target.work().data);
    WithKey(rows.size,
            [&](auto key) { RankRows<decltype(key)>(rows, descending, places, options); });
    return target.Finish(options);
  });
}

Status TopK(const View& in, int axis, bool descending, const View& values, const View& indices,
            const RunOptions& options) {
  const int64_t wanted = indices.layout.shape[axis], length = in.layout.shape[axis];
  if (wanted > length) {
    return Status::Value("topk(): k is " + std::to_string(wanted) + ", but axis " +
                         std::to_string(axis) + " has " + std::to_string(length) + " elements");
  }
  return OverRows(in, axis, indices, options, [&](const Rows& rows) -> Status {
    SPANFLOW_ASSIGN(const Target places, Target::Make(AxisLast(indices, axis)));
    SPANFLOW_ASSIGN(const Target items, Target::Make(AxisLast(values, axis)));
    auto* const to = reinterpret_cast<int64_t*>(places.work().data);
    WithKey(rows.size,
            [&](auto key) { TopOfRows<decltype(key)>(rows, descending, wanted, to, options); });
    GatherRows(rows, to, wanted, items.work().data, options);
    SPANFLOW_TRY(items.Finish(options));
    return places.Finish(options);
  });
}

}  // namespace spanflow::order
