#include "array/dot.h"

#include <algorithm>
#include <string>

#include "array/copy.h"
#include "array/fold.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/promote.h"
#include "array/split.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;
using simd::Accumulator;

// Products that stay in L1 until they are summed.
constexpr int64_t kProductBytes = 8192;

struct DotPlan {
  LoadPlan a, b;
  Kind compute;
  simd::ElementwiseFn conjugate = nullptr;  // of the first factors, if that is asked for
  simd::ElementwiseFn multiply;
  simd::ReductionKernel sum;
};

// A sum of products is a product kernel before a sum kernel: the accuracy of our sums, on any
// layout.
class Multiplier {
 public:
  Multiplier(const DotPlan& plan, int64_t begin) : plan_(plan) {
    a_.Start(&plan.a, &scratch_a_, begin);
    b_.Start(&plan.b, &scratch_b_, begin);
    const int64_t most = kProductBytes / base::InfoOf(plan.compute).itemsize;
    block_ = std::min({most, plan.a.capacity, plan.b.capacity});
  }

  // At most n products are added; returns how many.
  int64_t AddSome(int64_t n, Accumulator* to) {
    n = b_.Prefer(a_.Prefer(std::min(n, block_)));
    const void* factors[] = {a_.Next(n), b_.Next(n)};
    if (plan_.conjugate != nullptr) {
      plan_.conjugate(factors, conjugates_, static_cast<size_t>(n));
      factors[0] = conjugates_;
    }
    plan_.multiply(factors, products_, static_cast<size_t>(n));
    plan_.sum.update(to, products_, static_cast<size_t>(n));
    return n;
  }

 private:
  const DotPlan& plan_;
  int64_t block_;
  Loader a_, b_;
  Scratch scratch_a_, scratch_b_;
  alignas(64) std::byte products_[kProductBytes];
  alignas(64) std::byte conjugates_[kProductBytes];
};

void AddProducts(const DotPlan& plan, int64_t begin, int64_t end, Accumulator* to) {
  Multiplier multiplier(plan, begin);
  while (begin < end) begin += multiplier.AddSome(end - begin, to);
}

void AddAll(const DotPlan& plan, int64_t n, Accumulator* to, const RunOptions& options) {
  if (n <= kGrain) return AddProducts(plan, 0, n, to);
  const auto fold = [&](int64_t grain, Accumulator* partial) {
    plan.sum.init(partial);
    AddProducts(plan, grain * kGrain, std::min(n, (grain + 1) * kGrain), partial);
  };
  const auto merge = [&](int64_t, const Accumulator* partial) { plan.sum.merge(to, partial); };
  const int64_t grain_bytes = kGrain * plan.a.convert.memory_size;
  FoldInOrder((n + kGrain - 1) / kGrain, std::max<int64_t>(kChunkBytes / grain_bytes, 1), 1, fold,
              merge, options);
}

void PlanLoad(const View& view, const AxisOrder& order, Kind compute, LoadPlan* plan) {
  MakeWalk(view.data, {view.layout.shape.data(), 1}, {view.layout.strides.data(), 1}, order,
           &plan->walk);
  plan->Make(view.dtype(), compute);
}

Status CheckVectors(const View& a, const View& b) {
  if (a.ndim() != 1 || b.ndim() != 1) {
    return Status::Value("dot() takes two arrays of one dimension, got shapes " +
                         base::ToString(a.layout.shape) + " and " + base::ToString(b.layout.shape));
  }
  if (a.size() == b.size()) return Status::Ok();
  return Status::Value("shapes " + base::ToString(a.layout.shape) + " and " +
                       base::ToString(b.layout.shape) +
                       " not aligned: " + std::to_string(a.size()) +
                       " (dim 0) != " + std::to_string(b.size()) + " (dim 0)");
}

}  // namespace

Status Dot(const View& a, const View& b, bool conjugate, const View& out,
           const RunOptions& options) {
  SPANFLOW_TRY(CheckVectors(a, b));
  const Kind compute = ComputeKind(Promote(a.dtype().kind(), b.dtype().kind()));
  DotPlan plan;
  plan.compute = compute;
  if (conjugate && base::IsComplex(compute)) {
    plan.conjugate = simd::FindKernel(simd::Op::kConjugate, compute).run;
  }
  plan.multiply = simd::FindKernel(simd::Op::kMultiply, compute).run;
  plan.sum = simd::FindReduction(simd::Reduction::kSum, compute);
  RunScope scope;
  SPANFLOW_TRY(scope.Add(a));
  SPANFLOW_TRY(scope.Add(b));
  Accumulator acc;
  plan.sum.init(&acc);
  if (a.size() != 0) {
    const AxisOrder order =
        OrderByStrides({a.layout.shape.data(), 1}, {a.layout.strides.data(), 1});
    PlanLoad(a, order, compute, &plan.a);
    PlanLoad(b, order, compute, &plan.b);
    AddAll(plan, a.size(), &acc, options);
  }
  alignas(16) std::byte sum[16];
  plan.sum.finish(&acc, 0, sum);
  const base::DType kind(simd::ResultKind(simd::Reduction::kSum, compute));
  SPANFLOW_TRY(Copy(View{{}, sum, {kind, {}, {}}, true}, out, options));
  return scope.Finish();
}

}  // namespace spanflow::array
