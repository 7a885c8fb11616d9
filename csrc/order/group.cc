#include "order/group.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "array/fold.h"
#include "array/loader.h"
#include "array/promote.h"
#include "array/split.h"

namespace spanflow::order {
namespace {

using array::ComputeKind;
using array::CopyToNew;
using array::Empty;
using array::FoldInOrder;
using array::InitAll;
using array::kChunkBytes;
using array::kGrain;
using array::kNoLimit;
using array::LoadPlan;
using array::MergeAll;
using array::OrderedLoad;
using array::ResolveReduction;
using array::RunScope;
using array::SharedKernels;
using array::UpdateAll;
using base::Kind;
using base::Status;
using simd::Accumulator;

// Elements that are sorted at a time: more of them where there are many groups, so that the runs of
// each stay long enough to be worth a call.
int64_t GrainFor(int64_t groups) { return kGrain * std::clamp<int64_t>(groups / 1024, 1, 32); }

// What all partial results together may take.
constexpr int64_t kPartialBytes = int64_t{64} << 20;

struct Column {
  Column(const GroupColumn& column, size_t first_accumulator)
      : kind(ComputeKind(column.values->dtype().kind())),
        load(OrderedLoad(*column.values, kind)),  // in C order: elements of the same number
                                                  // belong together
        kernels(column.reductions, kind),
        first(first_accumulator) {}

  Kind kind;
  LoadPlan load;
  SharedKernels kernels;
  size_t first;  // of the accumulators of a group
};

// A grain of elements in the order of their groups. Sorting by counting moves every value once and
// leaves runs that the reductions' own kernels fold.
class GroupedGrain {
 public:
  GroupedGrain(int64_t low, int64_t groups, int64_t elements, int64_t itemsize)
      : low_(static_cast<uint64_t>(low)),
        groups_(static_cast<size_t>(groups)),
        starts_(groups_ + 1),
        places_(static_cast<size_t>(elements)),
        sorted_(static_cast<size_t>(elements * itemsize)) {}

  void ReadKeys(const LoadPlan& plan, int64_t begin, int64_t end) {
    std::ranges::fill(starts_, 0);
    ForEachPiece(plan, begin, end, kNoLimit, [&](const std::byte* items, int64_t first, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        uint64_t key;
        std::memcpy(&key, items + i * 8, 8);
        // Another thread may write to the keys meanwhile, so each is looked at.
        uint64_t group = key - low_;
        is_outside_ = is_outside_ || group >= groups_;
        group = std::min<uint64_t>(group, groups_ - 1);
        places_[static_cast<size_t>(first + i)] = static_cast<uint32_t>(group);
        ++starts_[group + 1];
      }
    });
    for (size_t g = 0; g < groups_; ++g) starts_[g + 1] += starts_[g];
    next_.assign(starts_.begin(), starts_.end() - 1);
    for (int64_t i = 0; i < end - begin; ++i) {
      uint32_t& place = places_[static_cast<size_t>(i)];
      place = next_[place]++;
    }
  }

  bool is_outside() const { return is_outside_; }
  int64_t CountOf(size_t group) const { return int64_t{starts_[group + 1]} - starts_[group]; }

  void Fold(const Column& column, int64_t begin, int64_t end, size_t width, Accumulator* into) {
    const auto size = static_cast<size_t>(base::InfoOf(column.kind).itemsize);
    ForEachPiece(
        column.load, begin, end, kNoLimit, [&](const std::byte* items, int64_t first, int64_t n) {
          Scatter(items, size, &places_[static_cast<size_t>(first)], static_cast<size_t>(n));
        });
    for (size_t g = 0; g < groups_; ++g) {
      const auto count = static_cast<size_t>(CountOf(g));
      if (count == 0) continue;
      UpdateAll(column.kernels.All(), into + g * width + column.first,
                sorted_.data() + starts_[g] * size, count);
    }
  }

 private:
  void Scatter(const std::byte* items, size_t size, const uint32_t* places, size_t n) {
    switch (size) {
      case 1:
        return ScatterItems<1>(items, places, n);
      case 2:
        return ScatterItems<2>(items, places, n);
      case 4:
        return ScatterItems<4>(items, places, n);
      case 8:
        return ScatterItems<8>(items, places, n);
      default:
        return ScatterItems<16>(items, places, n);
    }
  }
  template <size_t kSize>
  void ScatterItems(const std::byte* items, const uint32_t* places, size_t n) {
    for (size_t i = 0; i < n; ++i) {
      std::memcpy(sorted_.data() + places[i] * kSize, items + i * kSize, kSize);
    }
  }

  uint64_t low_;
  size_t groups_;
  bool is_outside_ = false;              // some key belongs to no group
  std::vector<uint32_t> starts_, next_;  // by group: where its elements begin, and go on
  std::vector<uint32_t> places_;         // by element: its group, then its place
  std::vector<std::byte> sorted_;
};

class Grouping {
 public:
  Grouping(const View& keys, int64_t low, int64_t groups, std::span<const GroupColumn> columns)
      : low_(low),
        groups_(groups),
        size_(keys.size()),
        grain_(std::min(GrainFor(groups), size_)),
        keys_(OrderedLoad(keys, Kind::kI64)) {
    for (const GroupColumn& column : columns) {
      columns_.emplace_back(column, width_);
      width_ += columns_.back().kernels.size();
      bytes_ += column.values->dtype().itemsize();
      widest_ = std::max<int64_t>(widest_, base::InfoOf(columns_.back().kind).itemsize);
    }
    results_.resize(static_cast<size_t>(groups) * width_);
    counts_.resize(static_cast<size_t>(groups));
    InitGroups(results_.data());
  }

  // In slices of grains, as many as memory allows partial results for.
  void Run(const RunOptions& options) {
    const int64_t grains = (size_ + grain_ - 1) / grain_;
    const auto partial_bytes = static_cast<int64_t>(sizeof(Accumulator) * results_.size());
    const int64_t most = std::clamp<int64_t>(kPartialBytes / (partial_bytes + 1), 1, grains);
    const int64_t per_slice = (grains + most - 1) / most;
    const int64_t slices = (grains + per_slice - 1) / per_slice;
    std::vector<std::vector<int64_t>> counts(static_cast<size_t>(slices));
    const auto fold = [&](int64_t slice, Accumulator* partial) {
      auto& counted = counts[static_cast<size_t>(slice)];
      counted.resize(counts_.size());
      InitGroups(partial);
      const int64_t begin = slice * per_slice * grain_;
      FoldSlice(begin, std::min(size_, begin + per_slice * grain_), partial, counted.data());
    };
    const auto merge = [&](int64_t slice, const Accumulator* partial) {
      auto& counted = counts[static_cast<size_t>(slice)];
      for (size_t g = 0; g < counted.size(); ++g) counts_[g] += counted[g];
      counted = {};
      for (const Column& column : columns_) {
        for (size_t at = column.first; at < results_.size(); at += width_) {
          MergeAll(column.kernels.All(), &results_[at], partial + at);
        }
      }
    };
    const int64_t chunk = std::max<int64_t>(kChunkBytes / (per_slice * grain_ * bytes_), 1);
    FoldInOrder(slices, chunk, results_.size(), fold, merge, options);
  }

  bool is_outside() const { return is_outside_; }
  const std::vector<int64_t>& counts() const { return counts_; }

  void Finish(size_t index, const GroupColumn& column, double ddof) const {
    const Column& own = columns_[index];
    for (size_t r = 0; r < column.reductions.size(); ++r) {
      const size_t place = own.kernels.PlaceOf(column.reductions[r]);
      const auto kernel = simd::FindReduction(column.reductions[r], own.kind);
      const View& out = column.results[r];
      for (size_t g = 0; g < counts_.size(); ++g) {
        kernel.finish(&results_[g * width_ + own.first + place], ddof,
                      out.data + static_cast<int64_t>(g) * out.dtype().itemsize());
      }
    }
  }

 private:
  void InitGroups(Accumulator* accumulators) const {
    for (const Column& column : columns_) {
      for (size_t at = column.first; at < results_.size(); at += width_) {
        InitAll(column.kernels.All(), accumulators + at);
      }
    }
  }

  void FoldSlice(int64_t begin, int64_t end, Accumulator* into, int64_t* counts) {
    GroupedGrain grain(low_, groups_, grain_, widest_);
    for (; begin < end; begin += grain_) {
      const int64_t last = std::min(end, begin + grain_);
      grain.ReadKeys(keys_, begin, last);
      for (size_t g = 0; g < counts_.size(); ++g) counts[g] += grain.CountOf(g);
      for (const Column& column : columns_) grain.Fold(column, begin, last, width_, into);
    }
    if (grain.is_outside()) is_outside_.store(true, std::memory_order_relaxed);
  }

  int64_t low_, groups_, size_, grain_;
  int64_t widest_ = 1;  // bytes of a value
  LoadPlan keys_;
  std::vector<Column> columns_;
  size_t width_ = 0;   // accumulators of a group
  int64_t bytes_ = 8;  // of an element, about
  std::vector<Accumulator> results_;
  std::vector<int64_t> counts_;
  std::atomic<bool> is_outside_ = false;  // some key belongs to no group
};

Status CheckColumn(const View& keys, const GroupColumn& column) {
  for (const simd::Reduction reduction : column.reductions) {
    SPANFLOW_TRY(ResolveReduction(reduction, column.values->dtype().kind()).TakeStatus());
    if (simd::IsPlace(reduction)) {
      return Status::Type(std::string(simd::InfoOf(reduction).name) +
                          " says a place, which a group "
                          "does not have");
    }
  }
  if (column.values->layout.shape == keys.layout.shape) return Status::Ok();
  return Status::Value("the values have shape " + base::ToString(column.values->layout.shape) +
                       ", the keys " + base::ToString(keys.layout.shape));
}

// In the operand's own dtype: float16 and bfloat16 are folded as float32 and rounded once.
Status RoundResults(GroupColumn& column) {
  for (size_t r = 0; r < column.results.size(); ++r) {
    const Kind wanted = *ResolveReduction(column.reductions[r], column.values->dtype().kind());
    if (column.results[r].dtype().kind() == wanted) continue;
    auto rounded = CopyToNew(column.results[r], base::DType(wanted));
    if (!rounded.ok()) return rounded.TakeStatus();
    column.results[r] = *std::move(rounded);
  }
  return Status::Ok();
}

}  // namespace

base::Result<View> GroupReduce(const View& keys, int64_t low, int64_t groups,
                               std::span<GroupColumn> columns, double ddof,
                               const RunOptions& options) {
  RunScope scope;
  SPANFLOW_TRY(scope.Add(keys));
  for (GroupColumn& column : columns) {
    SPANFLOW_TRY(CheckColumn(keys, column));
    SPANFLOW_TRY(scope.Add(*column.values));
    for (const simd::Reduction reduction : column.reductions) {
      const Kind kind = simd::ResultKind(reduction, ComputeKind(column.values->dtype().kind()));
      auto result = Empty(base::DType(kind), {groups});
      if (!result.ok()) return result.TakeStatus();
      column.results.push_back(*std::move(result));
    }
  }
  auto counts = Empty(base::DType(Kind::kI64), {groups});
  if (!counts.ok()) return counts;
  Grouping grouping(keys, low, groups, columns);
  if (keys.size() != 0) grouping.Run(options);
  SPANFLOW_TRY(scope.Finish());
  if (grouping.is_outside()) {
    return Status::Value("a key lies outside of the range that was given for the keys");
  }
  if (groups != 0)
    std::memcpy(counts->data, grouping.counts().data(), static_cast<size_t>(groups) * 8);
  for (size_t i = 0; i < columns.size(); ++i) {
    grouping.Finish(i, columns[i], ddof);
    SPANFLOW_TRY(RoundResults(columns[i]));
  }
  return counts;
}

}  // namespace spanflow::order
