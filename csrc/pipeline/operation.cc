#include "pipeline/operation.h"

#include <cstring>
#include <optional>

#include "array/copy.h"
#include "array/elementwise.h"
#include "array/reduce.h"
#include "pipeline/rows_source.h"

namespace spanflow::pipeline {
namespace {

using array::OperandType;
using array::View;
using array::Weak;
using base::DType;
using base::Kind;
using base::Result;
using base::Status;

constexpr array::RunOptions kAlone{1};  // a run has its own threads
constexpr size_t kMaxOperands = 3;

// One operand of a call beside the chunk's arrays: what its view is of, where that is not there
// already, such as a scalar's bytes.
struct Bound {
  std::optional<View> view;
  const Scalar* scalar = nullptr;
  alignas(16) std::byte item[16];
};

// It refers to itself.
struct Call {
  Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Bound bound[kMaxOperands];
  OperandType types[kMaxOperands];
  const View* views[kMaxOperands];  // null: a scalar that has no kind yet
  size_t count = 0;

  std::span<const OperandType> type_span() const { return {types, count}; }
  std::span<const View* const> view_span() const { return {views, count}; }
};

Weak WeakOf(const Scalar& scalar) {
  constexpr Weak kWeak[] = {Weak::kBool, Weak::kInt, Weak::kInt, Weak::kFloat, Weak::kComplex};
  return kWeak[scalar.index()];
}

// The scalar in the kind that holds it exactly, as a 0-d view over `bound`'s own bytes.
void StoreNatural(Bound* bound) {
  constexpr Kind kKinds[] = {Kind::kBool, Kind::kI64, Kind::kU64, Kind::kF64, Kind::kC128};
  std::visit([&](const auto& value) { std::memcpy(bound->item, &value, sizeof value); },
             *bound->scalar);
  View& view = bound->view.emplace();
  view.data = bound->item;
  view.layout.dtype = DType(kKinds[bound->scalar->index()]);
}

// Whether an integer scalar lies in the range of an integer kind.
bool Fits(const Scalar& scalar, Kind kind) {
  const int bits = base::InfoOf(kind).itemsize * 8;
  if (const auto* value = std::get_if<uint64_t>(&scalar)) {  // above int64
    return kind == Kind::kU64 || (*value >> 63) == 0;
  }
  const auto* value = std::get_if<int64_t>(&scalar);
  if (value == nullptr || bits == 64)
    return value == nullptr || base::IsSigned(kind) || *value >= 0;
  const int64_t half = int64_t{1} << (bits - 1);
  if (base::IsSigned(kind)) return *value >= -half && *value < half;
  return *value >= 0 && *value < 2 * half;
}

std::string TextOf(const Scalar& scalar) {
  if (const auto* value = std::get_if<int64_t>(&scalar)) return std::to_string(*value);
  if (const auto* value = std::get_if<uint64_t>(&scalar)) return std::to_string(*value);
  return "a number";
}

// Gives the scalar the kind that the operation computes in (NEP 50).
Status ConvertScalar(Bound* bound, Kind kind) {
  StoreNatural(bound);
  if (base::IsInteger(kind) && !Fits(*bound->scalar, kind)) {
    return Status::Overflow("Python integer " + TextOf(*bound->scalar) + " is out of bounds for " +
                            base::InfoOf(kind).name);
  }
  alignas(16) std::byte converted[16];
  View to;
  to.data = converted;
  to.layout.dtype = DType(kind);
  SPANFLOW_TRY(array::Copy(*bound->view, to, kAlone));
  std::memcpy(bound->item, converted, sizeof converted);
  bound->view->layout.dtype = DType(kind);
  return Status::Ok();
}

// A Python int beside narrower integers compares by value: it keeps its own kind.
void WidenCompared(Call* call) {
  const Kind common = array::PromoteOperands(call->type_span());
  if (!base::IsInteger(common)) return;
  for (size_t i = 0; i < call->count; ++i) {
    Bound& bound = call->bound[i];
    if (call->types[i].weak != Weak::kInt || Fits(*bound.scalar, common)) continue;
    StoreNatural(&bound);
    call->types[i] = {bound.view->dtype().kind(), Weak::kNone};
    call->views[i] = &*bound.view;
    bound.scalar = nullptr;
  }
}

Status Bind(const Chunk& chunk, const Operand& operand, Call* call) {
  Bound& bound = call->bound[call->count];
  const View*& bound_view = call->views[call->count];
  OperandType& type = call->types[call->count++];
  bound_view = nullptr;
  if (const auto* scalar = std::get_if<Scalar>(&operand.value)) {
    bound.scalar = scalar;
    type.weak = WeakOf(*scalar);
    return Status::Ok();
  }
  const View& view = std::get<Part>(operand.value).view;
  type.kind = view.dtype().kind();
  if (!operand.aligned) {
    bound_view = &view;
    return Status::Ok();
  }
  if (chunk.rows == Chunk::kNoRows) {
    return Status::Value(
        "aligned() needs chunks that still stand for rows of the source; a stage "
        "before this one dropped or reduced rows");
  }
  if (chunk.first_row + chunk.rows > view.layout.shape[0]) {
    return Status::Value("aligned() array has " + std::to_string(view.layout.shape[0]) +
                         " rows, but the chunk stands for rows " + std::to_string(chunk.first_row) +
                         " to " + std::to_string(chunk.first_row + chunk.rows));
  }
  bound_view = &bound.view.emplace(RowsOf(view, chunk.first_row, chunk.rows));
  return Status::Ok();
}

Status BindAll(const Elementwise& work, const Chunk& chunk, Call* call) {
  const simd::OpInfo& info = simd::InfoOf(work.op);
  const size_t given = static_cast<size_t>(chunk.size()) + work.operands.size();
  if (given != static_cast<size_t>(info.arity)) {
    return Status::Type(std::string(info.name) + "() takes " + std::to_string(info.arity) +
                        " operands; the chunk brings " + std::to_string(chunk.size()) +
                        " and the stage " + std::to_string(work.operands.size()));
  }
  for (int i = 0; i < chunk.size(); ++i) {
    const View& view = chunk[i].view;
    call->views[call->count] = &view;
    call->types[call->count++].kind = view.dtype().kind();
  }
  for (const Operand& operand : work.operands) SPANFLOW_TRY(Bind(chunk, operand, call));
  for (size_t i = 0; i < call->count; ++i) {
    const View* const view = call->views[i];
    if (view == nullptr || view->dtype().numeric()) continue;
    return Status::Type(std::string(info.name) + "() works on numbers, not on " +
                        view->dtype().ToString());
  }
  return Status::Ok();
}

// Whether the chunk's array can take the result: made for this item alone, same dtype and shape.
bool CanReuse(const Chunk& chunk, Kind kind, const base::Dims& shape) {
  const Part& part = chunk[0];
  return part.fresh && part.view.dtype() == DType(kind) && part.view.layout.shape == shape &&
         part.view.layout.c_contiguous();
}

// Everything of a call but its result.
struct ElementwisePlan {
  Call call;
  array::OpTypes types;
  const base::Dims* shape = nullptr;    // of the result: that of an operand, or
  std::optional<base::Dims> broadcast;  // of all of them together
};

// The shape of the only operand that has dimensions needs no broadcasting.
Status ShapeOf(const Call& call, ElementwisePlan* plan) {
  const base::Dims* shapes[kMaxOperands];
  size_t with_dimensions = 0;
  plan->shape = &call.views[0]->layout.shape;
  for (size_t i = 0; i < call.count; ++i) {
    shapes[i] = &call.views[i]->layout.shape;
    if (shapes[i]->empty()) continue;
    plan->shape = shapes[i];
    ++with_dimensions;
  }
  if (with_dimensions <= 1) return Status::Ok();
  SPANFLOW_ASSIGN(plan->broadcast, base::BroadcastShapes({shapes, call.count}));
  plan->shape = &*plan->broadcast;
  return Status::Ok();
}

Status PlanElementwise(const Elementwise& work, const Chunk& chunk, ElementwisePlan* plan) {
  Call& call = plan->call;
  SPANFLOW_TRY(BindAll(work, chunk, &call));
  const simd::OpInfo& info = simd::InfoOf(work.op);
  if (info.rule == simd::TypeRule::kCompare) WidenCompared(&call);
  SPANFLOW_ASSIGN(plan->types, array::ResolveOp(work.op, call.type_span()));
  for (size_t i = 0; i < call.count; ++i) {
    if (call.views[i] != nullptr) continue;
    const bool condition = info.rule == simd::TypeRule::kSelect && i == 0;
    SPANFLOW_TRY(ConvertScalar(&call.bound[i], condition ? Kind::kBool : plan->types.operand));
    call.views[i] = &*call.bound[i].view;
  }
  return ShapeOf(call, plan);
}

Status RunElementwise(const Elementwise& work, const ElementwisePlan& plan, const View& out) {
  return array::Elementwise(work.op, plan.call.view_span(), plan.types.compute, out, kAlone);
}

Result<View> ApplyElementwise(const Elementwise& work, const ElementwisePlan& plan,
                              Context& context) {
  Result<View> out = context.NewArray(DType(plan.types.result), *plan.shape);
  if (out.ok()) SPANFLOW_TRY(RunElementwise(work, plan, *out));
  return out;
}

// Map: the chunk becomes the result, which is written over its array where that is possible.
Status MapElementwise(const Elementwise& work, Chunk* chunk, Context& context) {
  ElementwisePlan plan;
  SPANFLOW_TRY(PlanElementwise(work, *chunk, &plan));
  if (CanReuse(*chunk, plan.types.result, *plan.shape)) {
    SPANFLOW_TRY(RunElementwise(work, plan, (*chunk)[0].view));
    chunk->KeepFirst();
    return Status::Ok();
  }
  Result<View> out = ApplyElementwise(work, plan, context);
  if (!out.ok()) return out.TakeStatus();
  chunk->Replace(Part(*std::move(out), nullptr, true));
  return Status::Ok();
}

struct ReductionPlan {
  Kind kind{};
  array::AxisSet axes;
  base::Dims shape;
};

Status PlanReduction(const ReduceAxes& work, const Chunk& chunk, ReductionPlan* plan) {
  const char* name = simd::InfoOf(work.reduction).name;
  if (chunk.size() != 1) {
    return Status::Type(std::string(name) + "() takes one array; the chunk has " +
                        std::to_string(chunk.size()));
  }
  const View& view = chunk[0].view;
  if (!view.dtype().numeric()) {
    return Status::Type(std::string(name) + "() works on numbers, not on " +
                        view.dtype().ToString());
  }
  SPANFLOW_ASSIGN(plan->kind, array::ResolveReduction(work.reduction, view.dtype().kind()));
  plan->axes = array::AllAxes(view.ndim());
  if (!work.all_axes) {
    plan->axes.reset();
    for (int64_t axis : work.axes) {
      SPANFLOW_ASSIGN(const int normal, base::NormalizeAxis(axis, view.ndim()));
      plan->axes.set(static_cast<size_t>(normal));
    }
  }
  plan->shape = array::ReducedShape(view.layout.shape, plan->axes, work.keepdims);
  return Status::Ok();
}

Result<View> ApplyReduction(const ReduceAxes& work, const Chunk& chunk, Context& context) {
  ReductionPlan plan;
  SPANFLOW_TRY(PlanReduction(work, chunk, &plan));
  SPANFLOW_ASSIGN(View out, context.NewArray(DType(plan.kind), plan.shape));
  SPANFLOW_TRY(
      array::Reduce(work.reduction, chunk[0].view, plan.axes, {.ddof = work.ddof}, out, kAlone));
  return out;
}

}  // namespace

std::string Operation::Name() const {
  if (const auto* work = std::get_if<Elementwise>(&work_)) return simd::InfoOf(work->op).name;
  const auto& work = std::get<ReduceAxes>(work_);
  std::string name = simd::InfoOf(work.reduction).name;
  if (work.all_axes) return name;
  name += "(axis=";
  if (work.axes.size() == 1) return name + std::to_string(work.axes[0]) + ")";
  name += "(";
  for (size_t i = 0; i < work.axes.size(); ++i) {
    name += (i == 0 ? "" : ", ") + std::to_string(work.axes[i]);
  }
  return name + "))";
}

std::span<const Operand> Operation::operands() const {
  const auto* work = std::get_if<Elementwise>(&work_);
  return work == nullptr ? std::span<const Operand>() : work->operands;
}

Result<Outline> Operation::Infer(const Chunk& chunk) const {
  if (const auto* work = std::get_if<Elementwise>(&work_)) {
    ElementwisePlan plan;
    SPANFLOW_TRY(PlanElementwise(*work, chunk, &plan));
    return Outline{DType(plan.types.result), *plan.shape};
  }
  ReductionPlan plan;
  SPANFLOW_TRY(PlanReduction(std::get<ReduceAxes>(work_), chunk, &plan));
  return Outline{DType(plan.kind), plan.shape};
}

Result<View> Operation::Apply(const Chunk& chunk, Context& context) const {
  if (const auto* work = std::get_if<Elementwise>(&work_)) {
    ElementwisePlan plan;
    SPANFLOW_TRY(PlanElementwise(*work, chunk, &plan));
    return ApplyElementwise(*work, plan, context);
  }
  return ApplyReduction(std::get<ReduceAxes>(work_), chunk, context);
}

Status Operation::Map(Chunk* chunk, Context& context) const {
  const int ndim = (*chunk)[0].view.ndim();
  if (const auto* work = std::get_if<Elementwise>(&work_)) {
    SPANFLOW_TRY(MapElementwise(*work, chunk, context));
  } else {
    SPANFLOW_ASSIGN(View out, ApplyReduction(std::get<ReduceAxes>(work_), *chunk, context));
    chunk->Replace(Part(std::move(out), nullptr, true));
  }
  if (!KeepsRows(chunk->rows, ndim, (*chunk)[0].view.layout.shape)) chunk->rows = Chunk::kNoRows;
  return Status::Ok();
}

bool Operation::KeepsRows(int64_t rows, int ndim, const base::Dims& result) const {
  if (rows == Chunk::kNoRows || result.empty() || result[0] != rows) return false;
  const auto* work = std::get_if<ReduceAxes>(&work_);
  if (work == nullptr) return result.size() == ndim;
  if (work->all_axes) return false;
  for (int64_t axis : work->axes) {
    if (axis == 0 || axis == -ndim) return false;
  }
  return true;
}

Result<Chunk*> ChunkOf(const Item& item) {
  if (Chunk* chunk = item->AsChunk()) return chunk;
  return Status::Type("this stage works on arrays; the item is none");
}

}  // namespace spanflow::pipeline
