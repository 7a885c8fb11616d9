#include "pipeline/operation.h"

#include <cstring>

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

// One operand of a call: a view, or a scalar's bytes with a view over them.
struct Bound {
  View view;
  const Scalar* scalar = nullptr;
  OperandType type;
  alignas(16) std::byte item[16];
};

struct Call {
  Bound bound[kMaxOperands];
  OperandType types[kMaxOperands];
  const View* views[kMaxOperands];
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
  bound->view.data = bound->item;
  bound->view.layout.dtype = DType(kKinds[bound->scalar->index()]);
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
  SPANFLOW_TRY(array::Copy(bound->view, to, kAlone));
  std::memcpy(bound->item, converted, sizeof converted);
  bound->view.layout.dtype = DType(kind);
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
    call->types[i] = {bound.view.dtype().kind(), Weak::kNone};
    bound.scalar = nullptr;
  }
}

Status Bind(const Chunk& chunk, const Operand& operand, Call* call) {
  Bound& bound = call->bound[call->count];
  OperandType& type = call->types[call->count++];
  if (const auto* scalar = std::get_if<Scalar>(&operand.value)) {
    bound.scalar = scalar;
    type.weak = WeakOf(*scalar);
    return Status::Ok();
  }
  const View& view = std::get<Part>(operand.value).view;
  type.kind = view.dtype().kind();
  if (!operand.aligned) {
    bound.view = view;
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
  bound.view = RowsOf(view, chunk.first_row, chunk.rows);
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
    call->bound[call->count].view = view;
    call->types[call->count++].kind = view.dtype().kind();
  }
  for (const Operand& operand : work.operands) SPANFLOW_TRY(Bind(chunk, operand, call));
  for (size_t i = 0; i < call->count; ++i) {
    const Bound& bound = call->bound[i];
    if (bound.scalar != nullptr || bound.view.dtype().numeric()) continue;
    return Status::Type(std::string(info.name) + "() works on numbers, not on " +
                        bound.view.dtype().ToString());
  }
  return Status::Ok();
}

// Whether the chunk's array can take the result: made for this item alone, same dtype and shape.
bool CanReuse(const Chunk& chunk, Kind kind, const base::Dims& shape) {
  const Part& part = chunk[0];
  return part.fresh && part.view.dtype() == DType(kind) && part.view.layout.shape == shape &&
         part.view.layout.c_contiguous();
}

Result<View> ApplyElementwise(const Elementwise& work, const Chunk& chunk, Context& context,
                              bool reuse) {
  Call call;
  SPANFLOW_TRY(BindAll(work, chunk, &call));
  const simd::OpInfo& info = simd::InfoOf(work.op);
  if (info.rule == simd::TypeRule::kCompare) WidenCompared(&call);
  SPANFLOW_ASSIGN(const array::OpTypes types, array::ResolveOp(work.op, call.type_span()));
  const base::Dims* shapes[kMaxOperands];
  for (size_t i = 0; i < call.count; ++i) {
    const bool condition = info.rule == simd::TypeRule::kSelect && i == 0;
    if (call.bound[i].scalar != nullptr) {
      SPANFLOW_TRY(ConvertScalar(&call.bound[i], condition ? Kind::kBool : types.operand));
    }
    call.views[i] = &call.bound[i].view;
    shapes[i] = &call.views[i]->layout.shape;
  }
  SPANFLOW_ASSIGN(const base::Dims shape, base::BroadcastShapes({shapes, call.count}));
  View out;
  if (reuse && CanReuse(chunk, types.result, shape)) {
    out = chunk[0].view;
  } else {
    SPANFLOW_ASSIGN(out, context.NewArray(DType(types.result), shape));
  }
  SPANFLOW_TRY(array::Elementwise(work.op, call.view_span(), types.compute, out, kAlone));
  return out;
}

Result<View> ApplyReduction(const ReduceAxes& work, const Chunk& chunk, Context& context) {
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
  SPANFLOW_ASSIGN(const Kind kind, array::ResolveReduction(work.reduction, view.dtype().kind()));
  array::AxisSet axes = array::AllAxes(view.ndim());
  if (!work.all_axes) {
    axes.reset();
    for (int64_t axis : work.axes) {
      SPANFLOW_ASSIGN(const int normal, base::NormalizeAxis(axis, view.ndim()));
      axes.set(static_cast<size_t>(normal));
    }
  }
  const base::Dims shape = array::ReducedShape(view.layout.shape, axes, work.keepdims);
  SPANFLOW_ASSIGN(View out, context.NewArray(DType(kind), shape));
  SPANFLOW_TRY(array::Reduce(work.reduction, view, axes, {.ddof = work.ddof}, out, kAlone));
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

Result<View> Operation::Apply(const Chunk& chunk, Context& context, bool reuse) const {
  if (const auto* work = std::get_if<Elementwise>(&work_)) {
    return ApplyElementwise(*work, chunk, context, reuse);
  }
  return ApplyReduction(std::get<ReduceAxes>(work_), chunk, context);
}

bool Operation::KeepsRows(const Chunk& chunk, const View& result) const {
  const View& view = chunk[0].view;
  if (chunk.rows == Chunk::kNoRows || result.ndim() == 0 || result.layout.shape[0] != chunk.rows) {
    return false;
  }
  const auto* work = std::get_if<ReduceAxes>(&work_);
  if (work == nullptr) return result.ndim() == view.ndim();
  if (work->all_axes) return false;
  for (int64_t axis : work->axes) {
    if (axis == 0 || axis == -view.ndim()) return false;
  }
  return true;
}

Result<Chunk*> ChunkOf(const Item& item) {
  if (Chunk* chunk = item->AsChunk()) return chunk;
  return Status::Type("this stage works on arrays; the item is none");
}

}  // namespace spanflow::pipeline
