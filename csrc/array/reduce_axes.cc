#include "array/reduce_axes.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "array/fold.h"
#include "array/loader.h"
#include "array/split.h"

namespace spanflow::array {
namespace {

using simd::Accumulator;

// A run of reduced elements shorter than this is not worth an accumulator of its own.
constexpr int64_t kShortRow = 32;
// Rows are cut into blocks for the sake of threads: at most so many, of at least so many rows.
constexpr int64_t kRowTasks = 32;
constexpr int64_t kMinRows = 64;
// Columns of a stripe that is folded where it lies. The column kernels choose the order of memory
// within it.
constexpr int64_t kWideStripe = 16 << 10;
// Where neighbouring results lie closer together than the elements of one, so many results are
// folded side by side, so many elements of each at a time: their cache lines serve all of them.
constexpr int64_t kSideBySide = 16;
constexpr int64_t kSlice = 256;
// Short rows form groups of about so many bytes, whose results are stored together.
constexpr int64_t kGroupBytes = 16 << 10;

// Memory aligned for any kernel.
struct Buffer {
  explicit Buffer(int64_t bytes) {
    constexpr int64_t kAlign = 64;
    if (bytes == 0) return;
    memory.reset(new std::byte[static_cast<size_t>(bytes + kAlign)]);
    data = memory.get() + (-reinterpret_cast<intptr_t>(memory.get()) & (kAlign - 1));
  }
  std::unique_ptr<std::byte[]> memory;
  std::byte* data = nullptr;
};

int64_t Product(const int64_t* extents, int count) {
  int64_t product = 1;
  for (int i = 0; i < count; ++i) product *= extents[i];
  return product;
}

std::span<const int64_t> Span(const int64_t* values, int count) {
  return {values, static_cast<size_t>(count)};
}

// What both methods work on.
struct Plan {
  const AxesTask& task;
  int64_t columns;  // results
  int64_t rows;     // elements of each
  Walk kept;        // of the input, over the results
  Walk reduced;     // of the input, over the elements of one result
  StorePlan store;  // of the results, in the order of `kept`
  AxisOrder kept_order, reduced_order;

  explicit Plan(const AxesTask& t)
      : task(t),
        columns(Product(t.kept_shape, t.kept)),
        rows(Product(t.reduced_shape, t.reduced)),
        kept_order(OrderByStrides(Span(t.kept_shape, t.kept), Span(t.kept_strides, t.kept))),
        reduced_order(t.in_order ? OrderByAxes(Span(t.reduced_shape, t.reduced))
                                 : OrderByStrides(Span(t.reduced_shape, t.reduced),
                                                  Span(t.reduced_strides, t.reduced))) {
    const auto shape = Span(t.kept_shape, t.kept);
    MakeWalk(t.in, shape, Span(t.kept_strides, t.kept), kept_order, &kept);
    MakeWalk(t.out, shape, Span(t.out_strides, t.kept), kept_order, &store.walk);
    MakeWalk(t.in, Span(t.reduced_shape, t.reduced), Span(t.reduced_strides, t.reduced),
             reduced_order, &reduced);
    store.Make(*t.out_type, t.result);
  }

  int64_t bytes() const { return columns * rows * task.in_type->itemsize(); }
  int64_t result_size() const { return store.convert.value_size; }
};

// By rows: every result has an accumulator, or one for each grain of a long row.
class RowMethod {
 public:
  explicit RowMethod(const Plan& plan)
      : plan_(plan),
        kernels_{{&plan.task.kernel, 1}},
        side_by_side_(plan.reduced.step() > plan.kept.step()),
        group_(GroupFor(plan)) {
    const AxesTask& task = plan.task;
    load_.walk = plan.reduced;
    load_.Make(*task.in_type, task.compute);
    if (task.where_type == nullptr) return;
    const auto kept = Span(task.kept_shape, task.kept);
    const auto reduced = Span(task.reduced_shape, task.reduced);
    MakeWalk(task.where, kept, Span(task.kept_where_strides, task.kept), plan.kept_order,
             &kept_where_);
    MakeWalk(task.where, reduced, Span(task.reduced_where_strides, task.reduced),
             plan.reduced_order, &where_.walk);
    where_.Make(*task.where_type, base::Kind::kBool);
  }

  void Run(const RunOptions& options) {
    if (plan_.rows > kGrain) return RunLong(options);
    const int64_t row_bytes = plan_.rows * plan_.task.in_type->itemsize();
    const int64_t chunk = std::max<int64_t>(kChunkBytes / (row_bytes * group_), 1);
    const auto body = [this](int64_t begin, int64_t end) { FoldGroups(begin, end); };
    if (plan_.bytes() <= kChunkBytes) return body(0, groups());
    runtime::ParallelFor(groups(), chunk, body, options.threads);
  }

 private:
  int64_t GroupFor(const Plan& plan) const {
    const int64_t row_bytes = plan.rows * plan.task.in_type->itemsize();
    const int64_t fit = side_by_side_ ? kSideBySide : kGroupBytes / row_bytes;
    return std::min(std::clamp<int64_t>(fit, 1, kSideBySide), plan.columns);
  }
  int64_t groups() const { return (plan_.columns + group_ - 1) / group_; }
  int64_t GroupSize(int64_t group) const {
    return std::min(group_, plan_.columns - group * group_);
  }

  // Elements [begin, end) of each of the results of a group.
  void FoldGroup(int64_t group, int64_t begin, int64_t end, Accumulator* acc) const {
    const int64_t count = GroupSize(group);
    Cursor row, row_where;
    ptrdiff_t offset[kSideBySide];
    Sieve sieve[kSideBySide];
    row.Start(&plan_.kept, group * group_);
    if (sifts()) row_where.Start(&kept_where_, group * group_);
    for (int64_t i = 0; i < count; ++i) {
      plan_.task.kernel.init(&acc[i]);
      offset[i] = row.pointer() - plan_.task.in;
      row.Advance(1);
      if (!sifts()) continue;
      sieve[i] = {&where_, row_where.pointer() - plan_.task.where};
      row_where.Advance(1);
    }
    const int64_t slice = side_by_side_ ? kSlice : end - begin;
    for (int64_t first = begin; first < end; first += slice) {
      const int64_t last = std::min(first + slice, end);
      for (int64_t i = 0; i < count; ++i) FoldSlice(offset[i], first, last, sieve[i], &acc[i]);
    }
  }

  void FoldSlice(ptrdiff_t offset, int64_t first, int64_t last, Sieve sieve,
                 Accumulator* acc) const {
    if (load_.in_place && load_.walk.single_run() && !sifts()) {
      const std::byte* in = plan_.reduced.data() + offset + first * plan_.reduced.step();
      plan_.task.kernel.update(acc, in, static_cast<size_t>(last - first));
    } else {
      FoldRange(load_, offset, first, last, kernels_, acc, sieve);
    }
  }

  // Groups [begin, end) of results, each folded in one go.
  void FoldGroups(int64_t begin, int64_t end) const {
    Scratch scratch;
    Storer storer;
    storer.Start(&plan_.store, &scratch, begin * group_);
    Accumulator acc[kSideBySide];
    for (int64_t group = begin; group < end; ++group) {
      FoldGroup(group, 0, plan_.rows, acc);
      Finish(acc, GroupSize(group), &storer);
    }
  }

  void Finish(const Accumulator* acc, int64_t count, Storer* storer) const {
    while (count > 0) {
      const int64_t n = storer->Prefer(count);
      auto* out = static_cast<std::byte*>(storer->Begin(n));
      for (int64_t i = 0; i < n; ++i, ++acc, out += plan_.result_size()) {
        plan_.task.kernel.finish(acc, plan_.task.ddof, out);
      }
      storer->End(n);
      count -= n;
    }
  }

  // Rows of several grains: all grains of all groups are tasks, merged in order.
  void RunLong(const RunOptions& options) {
    const int64_t grains = (plan_.rows + kGrain - 1) / kGrain;
    const simd::ReductionKernel& kernel = plan_.task.kernel;
    const auto fold = [&](int64_t t, Accumulator* partial) {
      const int64_t first = t % grains * kGrain;
      FoldGroup(t / grains, first, std::min(first + kGrain, plan_.rows), partial);
    };
    Scratch scratch;
    Storer storer;
    storer.Start(&plan_.store, &scratch, 0);
    Accumulator acc[kSideBySide];
    const auto merge = [&](int64_t t, const Accumulator* partial) {
      const int64_t count = GroupSize(t / grains);
      for (int64_t i = 0; i < count; ++i) {
        if (t % grains == 0) kernel.init(&acc[i]);
        kernel.merge(&acc[i], &partial[i]);
      }
      if (t % grains == grains - 1) Finish(acc, count, &storer);
    };
    const int64_t chunk = side_by_side_ ? 1 : 4;
    FoldInOrder(groups() * grains, chunk, static_cast<size_t>(group_), fold, merge, options);
  }

  bool sifts() const { return plan_.task.where_type != nullptr; }

  const Plan& plan_;
  Kernels kernels_;
  bool side_by_side_;
  int64_t group_;  // results that are folded side by side
  LoadPlan load_;
  LoadPlan where_;   // the mask, over the elements of one result
  Walk kept_where_;  // the mask, over the results
};

// By columns: stripes of neighbouring results are folded row by row. Long columns are cut into
// blocks of rows as well, whose states are merged in order.
class ColumnMethod {
 public:
  explicit ColumnMethod(const Plan& plan) : plan_(plan), kernel_(plan.task.column) {
    const AxesTask& task = plan.task;
    load_.walk = plan.kept;
    load_.Make(*task.in_type, task.compute);
    value_size_ = load_.convert.value_size;
    state_size_ = kernel_.width * base::InfoOf(kernel_.state_kind).itemsize;
    stripe_ = std::min(load_.in_place ? kWideStripe : load_.capacity, plan.columns);
    stripes_ = (plan.columns + stripe_ - 1) / stripe_;
    const int64_t blocks = std::min(plan.rows / kMinRows, plan.rows * stripe_ / kGrain);
    row_blocks_ = std::clamp<int64_t>(blocks, 1, std::max<int64_t>(kRowTasks / stripes_, 1));
    rows_per_block_ = (plan.rows + row_blocks_ - 1) / row_blocks_;
    row_blocks_ = (plan.rows + rows_per_block_ - 1) / rows_per_block_;
    MakeJoint();
  }

  void Run(const RunOptions& options) {
    Buffer states(row_blocks_ > 1 ? row_blocks_ * plan_.columns * state_size_ : 0);
    states_ = states.data;
    const auto body = [this](int64_t begin, int64_t end) {
      Buffer own(row_blocks_ > 1 ? 0 : stripe_ * state_size_);
      Buffer results(row_blocks_ > 1 ? 0 : stripe_ * plan_.result_size());
      for (int64_t t = begin; t < end; ++t) {
        if (row_blocks_ > 1)
          FoldBlock(t / row_blocks_, t % row_blocks_);
        else
          FoldStripe(t, own.data, results.data);
      }
    };
    const int64_t tasks = stripes_ * row_blocks_;
    const int64_t task_bytes = std::max<int64_t>(plan_.bytes() / tasks, 1);
    const int64_t grain = std::max<int64_t>(kChunkBytes / task_bytes, 1);
    if (plan_.bytes() <= kChunkBytes)
      body(0, tasks);
    else
      runtime::ParallelFor(tasks, grain, body, options.threads);
    if (row_blocks_ > 1) MergeBlocks();
  }

 private:
  // Where all columns together are narrower than a register, whole rows are loaded side by side:
  // one walk over everything, the kept axes innermost.
  void MakeJoint() {
    joint_rows_ = stripes_ == 1 ? load_.convert.register_items() / plan_.columns : 0;
    if (joint_rows_ < 2) return;
    const AxesTask& task = plan_.task;
    int64_t shape[base::kMaxDims], strides[base::kMaxDims];
    AxisOrder order = plan_.reduced_order;
    for (int i = 0; i < task.reduced; ++i) {
      shape[i] = task.reduced_shape[i];
      strides[i] = task.reduced_strides[i];
    }
    for (int i = 0; i < task.kept; ++i) {
      shape[task.reduced + i] = task.kept_shape[i];
      strides[task.reduced + i] = task.kept_strides[i];
    }
    for (int i = 0; i < plan_.kept_order.count; ++i) {
      order.axis[order.count] = task.reduced + plan_.kept_order.axis[i];
      order.flipped[order.count++] = plan_.kept_order.flipped[i];
    }
    const int axes = task.reduced + task.kept;
    MakeWalk(task.in, Span(shape, axes), Span(strides, axes), order, &joint_.walk);
    joint_.Make(*task.in_type, task.compute);
    if (joint_.in_place && !plan_.kept.single_run()) joint_rows_ = 0;  // a run is not a whole row
  }

  int64_t FirstRow(int64_t block) const { return block * rows_per_block_; }
  int64_t LastRow(int64_t block) const {
    return std::min(plan_.rows, (block + 1) * rows_per_block_);
  }
  std::byte* StateOf(int64_t block, int64_t column) const {
    return states_ + (block * plan_.columns + column) * state_size_;
  }

  // The piece of a stripe that one state covers: a stripe is cut where a long run ends.
  int64_t PieceAt(int64_t column) const {
    const int64_t left = std::min(plan_.columns, (column / stripe_ + 1) * stripe_) - column;
    const int64_t run = plan_.kept.run();
    return run >= kLongRun ? std::min(left, run - column % run) : left;
  }

  int64_t StripeEnd(int64_t stripe) const {
    return std::min(plan_.columns, (stripe + 1) * stripe_);
  }

  // Everything about one stripe.
  void FoldStripe(int64_t stripe, std::byte* state, std::byte* results) const {
    Scratch scratch;
    Storer storer;
    storer.Start(&plan_.store, &scratch, stripe * stripe_);
    for (int64_t column = stripe * stripe_; column < StripeEnd(stripe);) {
      const int64_t n = PieceAt(column);
      Fold(column, n, 0, plan_.rows, state);
      Finish(state, n, results, &storer);
      column += n;
    }
  }

  // A block of rows of one stripe; the states are kept until all blocks are done.
  void FoldBlock(int64_t stripe, int64_t block) const {
    for (int64_t column = stripe * stripe_; column < StripeEnd(stripe);) {
      const int64_t n = PieceAt(column);
      Fold(column, n, FirstRow(block), LastRow(block), StateOf(block, column));
      column += n;
    }
  }

  void MergeBlocks() const {
    Buffer results(stripe_ * plan_.result_size());
    Scratch scratch;
    Storer storer;
    storer.Start(&plan_.store, &scratch, 0);
    for (int64_t column = 0; column < plan_.columns;) {
      const int64_t n = PieceAt(column);
      std::byte* state = StateOf(0, column);
      for (int64_t b = 1; b < row_blocks_; ++b) {
        kernel_.merge(state, StateOf(b, column), static_cast<size_t>(n), FirstRow(b),
                      LastRow(b) - FirstRow(b));
      }
      Finish(state, n, results.data, &storer);
      column += n;
    }
  }

  void Finish(const std::byte* state, int64_t n, std::byte* results, Storer* storer) const {
    kernel_.finish(state, static_cast<size_t>(n), plan_.rows, plan_.task.ddof, results);
    while (n > 0) {
      const int64_t count = storer->Prefer(std::min(n, plan_.store.capacity));
      storer->Put(results, count);
      results += count * plan_.result_size();
      n -= count;
    }
  }

  // n columns from `column`, rows [first, last).
  void Fold(int64_t column, int64_t n, int64_t first, int64_t last, std::byte* state) const {
    kernel_.init(state, static_cast<size_t>(n));
    if (joint_rows_ >= 2) return FoldJoint(first, last, state);
    Cursor start;
    start.Start(&plan_.kept, column);
    const ptrdiff_t column_offset = start.pointer() - plan_.task.in;
    Scratch scratch;
    Cursor row;
    row.Start(&plan_.reduced, first);
    for (int64_t seen = 0; first < last;) {
      int64_t rows = 1;
      if (load_.in_place) {
        rows = std::min(row.left(), last - first);
        kernel_.update(state, row.pointer() + column_offset, plan_.reduced.step(),
                       static_cast<size_t>(rows), static_cast<size_t>(n), seen);
      } else {
        Loader loader;
        loader.Start(&load_, &scratch, column, row.pointer() - plan_.task.in);
        kernel_.update(state, static_cast<const std::byte*>(loader.Next(n)), 0, 1,
                       static_cast<size_t>(n), seen);
      }
      row.Advance(rows);
      first += rows;
      seen += rows;
    }
  }

  // All columns, rows [first, last), several rows at a time.
  void FoldJoint(int64_t first, int64_t last, std::byte* state) const {
    const int64_t columns = plan_.columns;
    Scratch scratch;
    Loader loader;
    loader.Start(&joint_, &scratch, first * columns);
    for (int64_t seen = 0; first < last;) {
      int64_t rows = joint_.in_place ? last - first : std::min(joint_rows_, last - first);
      rows = std::max<int64_t>(loader.Prefer(rows * columns) / columns, 1);  // whole rows
      kernel_.update(state, static_cast<const std::byte*>(loader.Next(rows * columns)),
                     columns * value_size_, static_cast<size_t>(rows), static_cast<size_t>(columns),
                     seen);
      first += rows;
      seen += rows;
    }
  }

  const Plan& plan_;
  const simd::ColumnKernel& kernel_;
  LoadPlan load_;   // the columns of one row
  LoadPlan joint_;  // everything, row by row
  int64_t joint_rows_ = 0;
  int64_t value_size_;
  int64_t state_size_;  // bytes for one column
  int64_t stripe_;      // columns
  int64_t stripes_;
  int64_t row_blocks_;
  int64_t rows_per_block_;
  std::byte* states_ = nullptr;
};

bool RowsAreBetter(const Plan& plan) {
  if (plan.task.column.update == nullptr || plan.columns == 1) return true;
  if (plan.task.where_type != nullptr) return true;
  return plan.reduced.step() < plan.kept.step() && plan.rows > 1 &&
         (plan.reduced.run() >= kShortRow || plan.columns < kShortRow);
}

}  // namespace

void ReduceAxes(const AxesTask& task, const RunOptions& options) {
  const Plan plan(task);
  if (RowsAreBetter(plan))
    RowMethod(plan).Run(options);
  else
    ColumnMethod(plan).Run(options);
}

ResultLines::ResultLines(const View& in, const AxisSet& reduced, base::Kind kind) {
  base::Dims kept, kept_strides, along, along_strides;
  for (int i = 0; i < in.ndim(); ++i) {
    const bool goes = reduced[static_cast<size_t>(i)];
    (goes ? along : kept).push_back(in.layout.shape[i]);
    (goes ? along_strides : kept_strides).push_back(in.layout.strides[i]);
  }
  MakeWalk(in.data, Spanned(kept), Spanned(kept_strides), OrderByAxes(Spanned(kept)), &starts);
  MakeWalk(in.data, Spanned(along), Spanned(along_strides),
           OrderByStrides(Spanned(along), Spanned(along_strides)), &load.walk);
  load.Make(in.dtype(), kind);
  for (const int64_t extent : kept) count *= extent;
  length = in.size() / count;
}

}  // namespace spanflow::array
