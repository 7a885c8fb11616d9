#include "array/moving.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/overlap.h"
#include "array/promote.h"
#include "array/split.h"
#include "base/arith.h"
#include "memory/heap.h"
#include "runtime/pool.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;
using simd::Reduction;

// Longer windows are folded from both ends: doubling takes a pass more for each power of two.
constexpr int64_t kMostDoubled = 512;
// Lines that lie closer together than their elements go side by side: more of them, and fewer
// elements, where windows are short.
constexpr int64_t kMinSide = 32;
constexpr int64_t kMaxSide = 256;
constexpr int64_t kMostItems = int64_t{1} << 20;    // of long windows side by side
constexpr int64_t kMostSpace = int64_t{256} << 20;  // bytes, of all threads together
constexpr int64_t kTileItems = 2048;  // about so many results at a time stay in the caches

// Floats are added as f64 and rounded once, as sums are; a mean of integers is one of f64.
Kind KindToFold(Reduction fold, Kind kind) {
  if (fold == Reduction::kMin || fold == Reduction::kMax) return ComputeKind(kind);
  if (base::IsComplex(kind)) return Kind::kC128;
  if (fold == Reduction::kMean || base::IsFloat(kind)) return Kind::kF64;
  return simd::ResultKind(fold, kind);
}

simd::Op CombinerOf(Reduction fold) {
  if (fold == Reduction::kMin) return simd::Op::kMinimum;
  return fold == Reduction::kMax ? simd::Op::kMaximum : simd::Op::kAdd;
}

simd::Scan ScanOf(Reduction fold) {
  if (fold == Reduction::kMin) return simd::Scan::kCumMin;
  return fold == Reduction::kMax ? simd::Scan::kCumMax : simd::Scan::kCumSum;
}

// Axes of both operands; `across` is the one whose lines go side by side, if there is one.
struct Axis {
  int64_t extent = 1;
  int64_t in = 0;  // strides
  int64_t out = 0;
};

// Results [first, first + count) along the axis for `width` lines side by side.
struct Tile {
  std::byte* in;  // of the first element of the first window
  std::byte* out;
  int64_t count;
  int64_t width;
};

class Mover {
 public:
  Mover(Reduction fold, const View& in, int axis, int64_t window, const View& out)
      : in_(in),
        out_(out),
        kind_(KindToFold(fold, in.dtype().kind())),
        size_(base::InfoOf(kind_).itemsize),
        window_(window),
        divisor_(fold == Reduction::kMean ? static_cast<double>(window) : 0),
        combine_(simd::FindKernel(CombinerOf(fold), kind_).run),
        scan_(simd::FindScan(ScanOf(fold), kind_)) {
    along_ = AxisOf(axis);
    along_.extent = out.layout.shape[axis];
    const int side = SideAxis(axis);
    if (side >= 0) across_ = AxisOf(side);
    base::Dims shape, in_strides, out_strides;
    for (int i = 0; i < in.ndim(); ++i) {
      if (i == axis || i == side) continue;
      shape.push_back(in.layout.shape[i]);
      in_strides.push_back(in.layout.strides[i]);
      out_strides.push_back(out.layout.strides[i]);
      others_ *= in.layout.shape[i];
    }
    const AxisOrder order = OrderByStrides(Spanned(shape), Spanned(out_strides));
    MakeWalk(in.data, Spanned(shape), Spanned(in_strides), order, &in_others_);
    MakeWalk(out.data, Spanned(shape), Spanned(out_strides), order, &out_others_);
    width_ = std::min(across_.extent, std::clamp(kTileItems / window, kMinSide, kMaxSide));
    if (!doubled()) width_ = std::min(width_, std::max<int64_t>(kMostItems / window, 1));
    count_ = doubled() ? std::max(kTileItems / width_, 2 * window) : window;
    count_ = std::min(count_, along_.extent);
  }

  Status Run(RunOptions options) const {
    const int64_t strips = (across_.extent + width_ - 1) / width_;
    const int64_t pieces = (along_.extent + count_ - 1) / count_;
    const std::optional<int64_t> part = PartBytes();
    if (!part) return Status::Memory("no memory holds a window of so many elements");
    // Long windows are worked on by fewer threads, because each has a space of its own.
    const int64_t threads = options.threads != 0 ? options.threads : runtime::NumThreads();
    options.threads = static_cast<int>(std::clamp<int64_t>(kMostSpace / (4 * *part), 1, threads));
    const int64_t traffic = std::min(*part, kChunkBytes);
    Split(others_ * strips * pieces, traffic, options, [&](int64_t begin, int64_t end) {
      const Space space(*part);
      for (int64_t task = begin; task < end; ++task) {
        RunTile(TileAt(task / pieces / strips, task / pieces % strips, task % pieces), space);
      }
    });
    return Status::Ok();
  }

 private:
  // What one thread works in: the loaded tile, two that take turns, and the results.
  struct Space {
    explicit Space(int64_t bytes)
        : block(Allocate(4 * bytes)),
          loaded(block->address()),
          turns{loaded + bytes, loaded + 2 * bytes},
          results(loaded + 3 * bytes) {}
    static memory::BlockRef Allocate(int64_t bytes) {
      base::Result<memory::BlockRef> made = memory::AllocateHeap(bytes);
      if (!made.ok()) throw std::bad_alloc();
      return *std::move(made);
    }
    memory::BlockRef block;
    std::byte* loaded;
    std::byte* turns[2];
    std::byte* results;
  };

  // Of one of the four parts of a space; none where that is no number. A broadcast array may be of
  // any length.
  std::optional<int64_t> PartBytes() const {
    int64_t rows, bytes, space;
    if (!base::CheckedAdd(count_, window_, &rows) ||
        !base::CheckedMul(rows, width_ * size_, &bytes) || !base::CheckedMul(bytes, 4, &space)) {
      return std::nullopt;
    }
    return bytes;
  }

  bool doubled() const { return window_ <= kMostDoubled; }
  Axis AxisOf(int axis) const {
    return {in_.layout.shape[axis], in_.layout.strides[axis], out_.layout.strides[axis]};
  }

  // The axis whose elements lie closest together, unless that is the windows' own: -1.
  int SideAxis(int axis) const {
    int side = axis;
    for (int i = 0; i < in_.ndim(); ++i) {
      if (in_.layout.shape[i] > 1 &&
          std::abs(in_.layout.strides[i]) < std::abs(in_.layout.strides[side])) {
        side = i;
      }
    }
    return side == axis ? -1 : side;
  }

  Tile TileAt(int64_t other, int64_t strip, int64_t piece) const {
    Cursor in, out;
    in.Start(&in_others_, other);
    out.Start(&out_others_, other);
    const int64_t first = piece * count_, line = strip * width_;
    return {in.pointer() + first * along_.in + line * across_.in,
            out.pointer() + first * along_.out + line * across_.out,
            std::min(count_, along_.extent - first), std::min(width_, across_.extent - line)};
  }

  void RunTile(const Tile& tile, const Space& space) const {
    const std::byte* const rows = Load(tile, space.loaded);
    const std::byte* results =
        doubled() ? Double(tile, rows, space) : FromBothEnds(tile, rows, space);
    if (divisor_ != 0) {
      Divide(results, space.results, tile.count * tile.width);
      results = space.results;
    }
    Store(tile, results);
  }

  void Walks(std::byte* data, int64_t rows, int64_t width, int64_t row, int64_t item,
             Walk* walk) const {
    const int64_t shape[] = {rows, width}, strides[] = {row, item};
    MakeWalk(data, shape, strides, OrderByAxes(shape), walk);
  }

  // The tile's elements, row by row: memory itself where it has that form.
  const std::byte* Load(const Tile& tile, std::byte* to) const {
    LoadPlan plan;
    const int64_t rows = tile.count + window_ - 1;
    Walks(tile.in, rows, tile.width, along_.in, across_.in, &plan.walk);
    plan.Make(in_.dtype(), kind_);
    if (plan.in_place && plan.walk.single_run()) return plan.walk.data();
    Scratch scratch;
    Loader loader;
    loader.Start(&plan, &scratch, 0);
    const int64_t total = rows * tile.width;
    const int64_t block = plan.convert.none() ? total : plan.convert.register_items();
    for (int64_t done = 0; done < total;) {
      const int64_t n = loader.Prefer(std::min(block, total - done));
      loader.NextInto(n, to + done * size_);
      done += n;
    }
    return to;
  }

  void Store(const Tile& tile, const std::byte* results) const {
    StorePlan plan;
    Walks(tile.out, tile.count, tile.width, along_.out, across_.out, &plan.walk);
    plan.Make(out_.dtype(), kind_);
    Scratch scratch;
    Storer storer;
    storer.Start(&plan, &scratch, 0);
    const int64_t total = tile.count * tile.width;
    const int64_t block = plan.convert.none() ? total : plan.convert.register_items();
    for (int64_t done = 0; done < total;) {
      const int64_t n = storer.Prefer(std::min(block, total - done));
      storer.Put(results + done * size_, n);
      done += n;
    }
  }

  void Combine(const std::byte* a, const std::byte* b, std::byte* out, int64_t items) const {
    const void* const operands[] = {a, b};
    combine_(operands, out, static_cast<size_t>(items));
  }

  // Folds of 2, 4, 8, … rows, each from two of half as many; those of which the window is made up
  // are put together. Every result is a tree of its own elements only.
  const std::byte* Double(const Tile& tile, const std::byte* rows, const Space& space) const {
    const int64_t row = tile.width * size_, items = tile.count * tile.width;
    const std::byte* folds = rows;
    const std::byte* result = nullptr;
    int64_t have = tile.count + window_ - 1;  // rows of `folds`
    int64_t taken = 0;                        // rows of each window that are in `result`
    for (int64_t rows_each = 1, turn = 0;; rows_each *= 2, turn = 1 - turn) {
      if ((window_ & rows_each) != 0) {
        const std::byte* const part = folds + taken * row;
        if (result != nullptr) {
          Combine(result, part, space.results, items);
          result = space.results;
        } else if (folds == rows || 2 * rows_each > window_) {  // nothing overwrites it
          result = part;
        } else {
          std::memcpy(space.results, part, static_cast<size_t>(items * size_));
          result = space.results;
        }
        taken += rows_each;
      }
      if (2 * rows_each > window_) return result;
      have -= rows_each;
      Combine(folds, folds + rows_each * row, space.turns[turn], have * tile.width);
      folds = space.turns[turn];
    }
  }

  // As van Herk, and Gil and Werman: a window is the end of one run of `window` rows and the
  // beginning of the next.
  const std::byte* FromBothEnds(const Tile& tile, const std::byte* rows, const Space& space) const {
    const int64_t row = tile.width * size_;
    std::byte* const ends = space.turns[0];
    std::byte* const starts = space.turns[1];
    FoldEnds(tile, rows, ends, starts);
    FoldStarts(tile, rows + window_ * row, starts);
    std::memcpy(space.results, ends, static_cast<size_t>(row));
    Combine(ends + row, starts, space.results + row, (tile.count - 1) * tile.width);
    return space.results;
  }

  // ends[i] is the fold of rows [i, window); `spare` has as much room.
  void FoldEnds(const Tile& tile, const std::byte* rows, std::byte* ends, std::byte* spare) const {
    const int64_t row = tile.width * size_, last = (window_ - 1) * row;
    if (tile.width == 1) {
      const auto size = static_cast<size_t>(size_), n = static_cast<size_t>(window_);
      simd::Gather(rows + last, -size_, size, spare, n);
      ScanLine(spare, spare, window_);
      simd::Gather(spare + last, -size_, size, ends, n);
      return;
    }
    std::memcpy(ends + last, rows + last, static_cast<size_t>(row));
    for (int64_t at = last - row; at >= 0; at -= row) {
      Combine(rows + at, ends + at + row, ends + at, tile.width);
    }
  }

  // starts[i] is the fold of rows [0, i].
  void FoldStarts(const Tile& tile, const std::byte* rows, std::byte* starts) const {
    const int64_t row = tile.width * size_, end = (tile.count - 1) * row;
    if (end == 0) return;
    if (tile.width == 1) return ScanLine(rows, starts, tile.count - 1);
    std::memcpy(starts, rows, static_cast<size_t>(row));
    for (int64_t at = row; at < end; at += row) {
      Combine(starts + at - row, rows + at, starts + at, tile.width);
    }
  }

  void ScanLine(const std::byte* in, std::byte* out, int64_t n) const {
    simd::Accumulator acc;
    scan_.init(&acc);
    scan_.run(&acc, in, out, static_cast<size_t>(n));
  }

  void Divide(const std::byte* sums, std::byte* means, int64_t items) const {
    constexpr int64_t kBlock = 256;
    double divisors[kBlock];
    std::fill_n(divisors, kBlock, divisor_);
    const simd::ElementwiseFn divide = simd::FindKernel(simd::Op::kDivide, Kind::kF64).run;
    const int64_t numbers = items * size_ / static_cast<int64_t>(sizeof(double));
    for (int64_t i = 0; i < numbers; i += kBlock) {
      const void* const operands[] = {sums + i * 8, divisors};
      divide(operands, means + i * 8, static_cast<size_t>(std::min(kBlock, numbers - i)));
    }
  }

  const View& in_;
  const View& out_;
  Kind kind_;
  int64_t size_;  // bytes of an item of that kind
  int64_t window_;
  double divisor_;  // of means, else 0
  simd::ElementwiseFn combine_;
  simd::ScanKernel scan_;
  Axis along_, across_;
  int64_t others_ = 1;             // lines of the other axes
  Walk in_others_, out_others_;    // over them
  int64_t width_ = 1, count_ = 1;  // of a tile
};

std::string NameOf(Reduction fold) { return std::string("moving_") + simd::InfoOf(fold).name; }

Status CheckMoving(Reduction fold, const View& in, int axis, int64_t window, const View& out) {
  const std::string name = NameOf(fold);
  SPANFLOW_TRY(CheckKinds(name.c_str(), simd::InfoOf(fold).kinds, in.dtype().kind()));
  SPANFLOW_ASSIGN(const base::Dims shape, MovingShape(fold, in.layout.shape, axis, window));
  if (out.readonly) return Status::Value("output array is read-only");
  if (out.layout.shape == shape) return Status::Ok();
  return Status::Value(name + "(): out has shape " + base::ToString(out.layout.shape) +
                       ", but the result has shape " + base::ToString(shape));
}

}  // namespace

base::Result<base::Dims> MovingShape(Reduction fold, const base::Dims& shape, int axis,
                                     int64_t window) {
  base::Dims result = shape;
  if (window < 1 || window > shape[axis]) {
    return Status::Value(NameOf(fold) + "(): a window of " + std::to_string(window) +
                         " does not fit axis " + std::to_string(axis) + " of " +
                         std::to_string(shape[axis]) + " elements; it has from 1 to as many");
  }
  result[axis] -= window - 1;
  return result;
}

Status MovingFold(Reduction fold, const View& in, int axis, int64_t window, const View& out,
                  const RunOptions& options) {
  SPANFLOW_TRY(CheckMoving(fold, in, axis, window, out));
  if (out.size() == 0) return Status::Ok();
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  if (MayShareMemory(in, out)) {
    SPANFLOW_ASSIGN(const View apart, CopyToNew(in, in.dtype(), false, options));
    SPANFLOW_TRY(Mover(fold, apart, axis, window, out).Run(options));
  } else {
    SPANFLOW_TRY(Mover(fold, in, axis, window, out).Run(options));
  }
  return scope.Finish();
}

}  // namespace spanflow::array
