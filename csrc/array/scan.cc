#include "array/scan.h"

#include <algorithm>

#include "array/copy.h"
#include "array/create.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/overlap.h"
#include "array/promote.h"
#include "array/split.h"
#include "runtime/pool.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;
using simd::Accumulator;

// Lines that lie closer together than their elements go forward side by side, so many elements at
// a time: their cache lines serve all of them.
constexpr int64_t kSideBySide = 16;
constexpr int64_t kSlice = 256;

class Lines {
 public:
  Lines(simd::Scan scan, const View& in, int axis, const View& out)
      : in_(in), out_(out), kernel_(simd::FindScan(scan, KindOf(scan, in))) {
    const base::Dims& shape = in.layout.shape;
    base::Dims kept, in_strides, out_strides;
    for (int i = 0; i < in.ndim(); ++i) {
      if (i == axis) continue;
      kept.push_back(shape[i]);
      in_strides.push_back(in.layout.strides[i]);
      out_strides.push_back(out.layout.strides[i]);
    }
    length_ = shape[axis];
    count_ = in.size() / length_;
    const AxisOrder order = OrderByStrides(Spanned(kept), Spanned(out_strides));
    MakeWalk(in.data, Spanned(kept), Spanned(in_strides), order, &in_lines_);
    MakeWalk(out.data, Spanned(kept), Spanned(out_strides), order, &out_lines_);
    const int64_t line[] = {length_}, in_step[] = {in.layout.strides[axis]},
                  out_step[] = {out.layout.strides[axis]};
    const AxisOrder along = OrderByAxes(line);
    MakeWalk(in.data, line, in_step, along, &load_.walk);
    MakeWalk(out.data, line, out_step, along, &store_.walk);
    load_.Make(in.dtype(), KindOf(scan, in));
    store_.Make(out.dtype(), KindOf(scan, in));
    block_ = std::min({load_.capacity, store_.capacity, kGrainItems});
    group_ = load_.walk.step() > in_lines_.step() ? std::min(kSideBySide, count_) : 1;
  }

  void Run(const RunOptions& options) const {
    const int64_t groups = (count_ + group_ - 1) / group_;
    const int64_t group_bytes = group_ * length_ * in_.dtype().itemsize();
    const auto body = [this](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) RunGroup(g * group_);
    };
    if (in_.layout.nbytes() <= kChunkBytes) return body(0, groups);
    runtime::ParallelFor(groups, std::max<int64_t>(kChunkBytes / group_bytes, 1), body,
                         options.threads);
  }

 private:
  static constexpr int64_t kGrainItems = int64_t{1} << 16;

  static Kind KindOf(simd::Scan scan, const View& in) {
    return simd::ResultKind(scan, ComputeKind(in.dtype().kind()));
  }

  void RunGroup(int64_t first) const {
    const int64_t lines = std::min(group_, count_ - first);
    Accumulator acc[kSideBySide];
    ptrdiff_t from[kSideBySide], to[kSideBySide];
    Cursor in_line, out_line;
    in_line.Start(&in_lines_, first);
    out_line.Start(&out_lines_, first);
    for (int64_t i = 0; i < lines; ++i) {
      kernel_.init(&acc[i]);
      from[i] = in_line.pointer() - in_.data;
      to[i] = out_line.pointer() - out_.data;
      in_line.Advance(1);
      out_line.Advance(1);
    }
    const int64_t slice = group_ > 1 ? kSlice : length_;
    for (int64_t begin = 0; begin < length_; begin += slice) {
      const int64_t end = std::min(begin + slice, length_);
      for (int64_t i = 0; i < lines; ++i) RunSlice(from[i], to[i], begin, end, &acc[i]);
    }
  }

  void RunSlice(ptrdiff_t from, ptrdiff_t to, int64_t begin, int64_t end, Accumulator* acc) const {
    Scratch load_scratch, store_scratch;
    Loader loader;
    Storer storer;
    loader.Start(&load_, &load_scratch, begin, from);
    storer.Start(&store_, &store_scratch, begin, to);
    while (begin < end) {
      const int64_t n = storer.Prefer(loader.Prefer(std::min(block_, end - begin)));
      void* const out = storer.Begin(n);
      kernel_.run(acc, loader.Next(n), out, static_cast<size_t>(n));
      storer.End(n);
      begin += n;
    }
  }

  const View& in_;
  const View& out_;
  simd::ScanKernel kernel_;
  int64_t length_, count_;     // elements of a line, lines
  Walk in_lines_, out_lines_;  // over the lines
  LoadPlan load_;              // along a line
  StorePlan store_;
  int64_t block_, group_;
};

Status CheckScan(simd::Scan scan, const View& in, const View& out) {
  const simd::ReductionInfo& info = simd::InfoOf(scan);
  SPANFLOW_TRY(CheckKinds(info.name, info.kinds, in.dtype().kind()));
  if (out.readonly) return Status::Value("output array is read-only");
  if (out.layout.shape == in.layout.shape) return Status::Ok();
  return Status::Value(std::string(info.name) + "(): out has shape " +
                       base::ToString(out.layout.shape) + ", but the result has shape " +
                       base::ToString(in.layout.shape));
}

bool SamePlace(const View& a, const View& b) {
  return a.data == b.data && a.layout.strides == b.layout.strides && a.dtype() == b.dtype();
}

}  // namespace

Status RunScan(simd::Scan scan, const View& in, int axis, const View& out,
               const RunOptions& options) {
  SPANFLOW_TRY(CheckScan(scan, in, out));
  if (in.size() == 0) return Status::Ok();
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  if (MayShareMemory(in, out) && !SamePlace(in, out)) {
    SPANFLOW_ASSIGN(const View apart, Empty(out.dtype(), out.layout.shape));
    Lines(scan, in, axis, apart).Run(options);
    SPANFLOW_TRY(Copy(apart, out, options));
  } else {
    Lines(scan, in, axis, out).Run(options);
  }
  return scope.Finish();
}

}  // namespace spanflow::array
