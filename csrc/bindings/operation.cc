#include "bindings/operation.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "array/elementwise.h"
#include "array/equal.h"
#include "array/promote.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/expression.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using array::OperandType;
using array::View;
using array::Weak;
using base::DType;
using base::Kind;
using capi::Check;
using capi::Raise;
using capi::Ref;

constexpr int kMaxArity = 3;

// One operand: an array, or a Python scalar that waits for the dtype of the others.
struct Operand {
  PyObject* scalar = nullptr;
  Ref array;                      // or what owns the scalar, where that was replaced
  std::byte item[16];             // the scalar's bytes once its dtype is known
  std::optional<View> item_view;  // of these bytes

  const View& view() const { return AsArray(array.get())->view; }
};

using Views = std::span<const View* const>;

struct Operands {
  Operand operand[kMaxArity];
  OperandType types[kMaxArity];
  int count = 0;

  std::span<const OperandType> type_span() const { return {types, static_cast<size_t>(count)}; }
};

void RequireNumeric(const DType& dtype, const char* name) {
  if (dtype.numeric()) return;
  Raise(PyExc_TypeError, "%s() works on numbers, not on %s%s", name, dtype.ToString().c_str(),
        dtype.kind() == Kind::kRecord ? "; take one field, as in a['name']" : "");
}

void ReadOperand(ModuleState* state, const char* name, PyObject* object, Operands* operands) {
  Operand& operand = operands->operand[operands->count];
  OperandType& type = operands->types[operands->count++];
  const bool is_array = IsArray(state, object);
  if (!is_array && IsPythonScalar(object)) {
    operand.scalar = object;
    type.weak = WeakOf(object);
    return;
  }
  if (!is_array && PyBytes_Check(object)) {  // asarray would take it for numbers
    Raise(PyExc_TypeError,
          "%s(): bytes are text here, not numbers; asarray() and bytearray give uint8", name);
  }
  operand.array = is_array ? Ref::Borrow(object) : AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(operand.array.get()));
  RequireNumeric(operand.view().dtype(), name);
  type.kind = operand.view().dtype().kind();
}

// Two Python ints, of any size: their order is compared in their place.
void CompareInts(Operands* operands) {
  Operand& first = operands->operand[0];
  Operand& second = operands->operand[1];
  const int above = PyObject_RichCompareBool(first.scalar, second.scalar, Py_GT);
  const int below = PyObject_RichCompareBool(first.scalar, second.scalar, Py_LT);
  capi::CheckStatus(std::min(above, below));
  first.array = Check(PyLong_FromLong(above - below));
  second.array = Check(PyLong_FromLong(0));
  first.scalar = first.array.get();
  second.scalar = second.array.get();
}

// A Python int compares by value, so one that the arrays' integers do not reach must not be
// squeezed into their kind. All of them lie on the same side of it: an infinity stands for it.
void ReplaceIntsOutOfReach(Operands* operands) {
  if (operands->types[0].weak == Weak::kInt && operands->types[1].weak == Weak::kInt) {
    return CompareInts(operands);
  }
  const Kind common = array::PromoteOperands(operands->type_span());
  if (!base::IsInteger(common)) return;
  for (int i = 0; i < operands->count; ++i) {
    Operand& operand = operands->operand[i];
    if (operands->types[i].weak != Weak::kInt) continue;
    try {
      ObjectToItem(DType(common), operand.scalar, operand.item);
    } catch (const capi::PythonError&) {
      if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw;
      PyErr_Clear();
      int overflow;
      const long long value = PyLong_AsLongLongAndOverflow(operand.scalar, &overflow);
      const bool below = overflow < 0 || (overflow == 0 && value < 0);
      operand.array = Check(PyFloat_FromDouble(below ? -HUGE_VAL : HUGE_VAL));
      operand.scalar = operand.array.get();
      operands->types[i] = {Kind::kF64, Weak::kNone};
    }
  }
}

const View* OperandView(Operand& operand, const OperandType& type, const array::OpTypes& types) {
  if (operand.scalar == nullptr) return &operand.view();
  // A scalar that was made strong keeps its own kind; `where` reads its condition as bool.
  const Kind kind = type.weak == Weak::kNone ? type.kind : types.operand;
  ObjectToItem(DType(kind), operand.scalar, operand.item);
  View& view = operand.item_view.emplace();
  view.data = operand.item;
  view.layout.dtype = DType(kind);
  return &view;
}

base::Dims BroadcastOf(Views views) {
  const base::Dims* shapes[kMaxArity];
  bool same = true;
  for (size_t i = 0; i < views.size(); ++i) {
    shapes[i] = &views[i]->layout.shape;
    same = same && *shapes[i] == *shapes[0];
  }
  if (same) return *shapes[0];
  return capi::Take(base::BroadcastShapes({shapes, views.size()}));
}

void CheckOutShape(const char* name, const View& out, const base::Dims& shape) {
  if (out.layout.shape == shape) return;
  const base::Dims* both[] = {&out.layout.shape, &shape};
  auto common = base::BroadcastShapes(both);
  if (common.ok() && *common == out.layout.shape) return;
  Raise(PyExc_ValueError, "%s(): out has shape %s, but the operands broadcast to %s", name,
        base::ToString(out.layout.shape).c_str(), base::ToString(shape).c_str());
}

bool AllFortran(Views views) {
  bool any = false;
  for (const View* view : views) {
    if (view->ndim() < 2) continue;
    if (!view->layout.is_fortran()) return false;
    any = true;
  }
  return any;
}

Ref Run(ModuleState* state, simd::Op op, Operands& operands, PyObject* out) {
  const simd::OpInfo& info = simd::InfoOf(op);
  if (info.rule == simd::TypeRule::kCompare) ReplaceIntsOutOfReach(&operands);
  const array::OpTypes types = capi::Take(array::ResolveOp(op, operands.type_span()));
  const auto count = static_cast<size_t>(operands.count);
  const View* views[kMaxArity];
  for (size_t i = 0; i < count; ++i) {
    array::OpTypes own = types;
    if (info.rule == simd::TypeRule::kSelect && i == 0) own.operand = Kind::kBool;
    views[i] = OperandView(operands.operand[i], operands.types[i], own);
  }
  const Views inputs(views, count);
  const base::Dims shape = BroadcastOf(inputs);
  if (out == nullptr || out == Py_None) {
    View result = capi::Take(array::Empty(DType(types.result), shape, false, AllFortran(inputs)));
    capi::Check(RunDetached(result.layout.nbytes(),
                            [&] { return array::Elementwise(op, inputs, types.compute, result); }));
    return ScalarOrArray(state, std::move(result));
  }
  const Ref target = OutArray(state, out);
  const View& result = AsArray(target.get())->view;
  CheckOutShape(info.name, result, shape);
  CheckOut(info.name, result, types.result);
  capi::Check(RunDetached(result.layout.nbytes(),
                          [&] { return array::Elementwise(op, inputs, types.compute, result); }));
  return Ref::Borrow(out);
}

// clip(x, None, upper) is minimum(x, upper), and the other way round.
Ref Clip(ModuleState* state, std::span<PyObject* const> operands, PyObject* out) {
  PyObject* x = operands[0];
  PyObject* lower = operands[1] == Py_None ? nullptr : operands[1];
  PyObject* upper = operands[2] == Py_None ? nullptr : operands[2];
  if (lower == nullptr && upper == nullptr) {
    Raise(PyExc_ValueError, "clip() needs a lower or an upper limit");
  }
  PyObject* const one_limit[] = {x, lower != nullptr ? lower : upper};
  return ApplyOperation(state, lower != nullptr ? simd::Op::kMaximum : simd::Op::kMinimum,
                        one_limit, out);
}

// == and != of bytes and records, which have no arithmetic: whether one operand is an array of
// them.
bool ComparesItems(ModuleState* state, simd::Op op, std::span<PyObject* const> operands) {
  if (op != simd::Op::kEqual && op != simd::Op::kNotEqual) return false;
  return std::ranges::any_of(operands, [state](PyObject* object) {
    return IsArray(state, object) && !AsArray(object)->view.dtype().numeric();
  });
}

// The other operand of such an array: bytes are one element, a tuple is a record.
Ref ItemsFrom(ModuleState* state, PyObject* object, const DType& dtype) {
  Ref items =
      PyBytes_Check(object) || PyList_Check(object) || PyTuple_Check(object)
          ? ArrayFromSequence(state, object, dtype.kind() == Kind::kRecord ? &dtype : nullptr)
          : AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(items.get()));
  return items;
}

Ref CompareItems(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                 PyObject* out) {
  const size_t array = IsArray(state, operands[0]) ? 0 : 1;
  const DType& dtype = AsArray(operands[array])->view.dtype();
  const Ref a = ItemsFrom(state, operands[0], dtype), b = ItemsFrom(state, operands[1], dtype);
  const View& left = AsArray(a.get())->view;
  const View& right = AsArray(b.get())->view;
  const auto nbytes = std::max(left.layout.nbytes(), right.layout.nbytes());
  View result = capi::Take(RunDetached(nbytes, [&] { return array::Equal(left, right); }));
  if (op == simd::Op::kNotEqual) {
    const View* const in[] = {&result};
    capi::Check(array::Elementwise(simd::Op::kInvert, in, Kind::kBool, result));
  }
  if (!capi::Given(out)) return ScalarOrArray(state, std::move(result));
  const Ref target = OutArray(state, out);
  const View& to = AsArray(target.get())->view;
  CheckOutShape(simd::InfoOf(op).name, to, result.layout.shape);
  CheckOut(simd::InfoOf(op).name, to, Kind::kBool);
  capi::Check(array::Copy(result, to));
  return Ref::Borrow(out);
}

}  // namespace

bool IsOperandLike(ModuleState* state, PyObject* object) {
  if (PyBytes_Check(object)) return false;
  return IsArray(state, object) || IsPythonScalar(object) || PyObject_CheckBuffer(object) ||
         PyList_Check(object) || PyTuple_Check(object) || PyLong_Check(object) ||
         PyFloat_Check(object) || capi::AttributeOrNull(object, "__array_interface__");
}

void CheckOut(const char* name, const View& out, Kind result) {
  RequireNumeric(out.dtype(), name);
  CheckWritable(out);
  if (!array::CanCast(DType(result), out.dtype(), array::Casting::kSameKind)) {
    Raise(PyExc_TypeError, "%s() gives %s, which does not cast to out's dtype %s (rule: same_kind)",
          name, base::InfoOf(result).name, out.dtype().ToString().c_str());
  }
}

Ref OutArray(ModuleState* state, PyObject* out) {
  if (IsArray(state, out)) {
    CheckOpen(AsArray(out));
    return Ref::Borrow(out);
  }
  if (IsPythonScalar(out) || PyList_Check(out) || PyTuple_Check(out)) {
    Raise(PyExc_TypeError, "out must be an array, got %.200s", Py_TYPE(out)->tp_name);
  }
  return AsArrayObject(state, out, nullptr, Py_False);
}

Ref ScalarOrArray(ModuleState* state, View view) {
  if (view.ndim() == 0) return ItemToObject(view.dtype(), view.data);
  return NewArray(state, std::move(view));
}

Ref ApplyOperation(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                   PyObject* out) {
  if (op == simd::Op::kClip && (operands[1] == Py_None || operands[2] == Py_None)) {
    return Clip(state, operands, out);
  }
  if (HasExpression(state, operands)) return LazyOperation(state, op, operands, out);
  if (ComparesItems(state, op, operands)) return CompareItems(state, op, operands, out);
  Operands read;
  for (PyObject* object : operands) ReadOperand(state, simd::InfoOf(op).name, object, &read);
  return Run(state, op, read, out);
}

Ref ApplyOperator(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                  PyObject* out) {
  const bool items = ComparesItems(state, op, operands);
  for (PyObject* object : operands) {
    if (!IsOperandLike(state, object) && !(items && PyBytes_Check(object))) {
      return capi::NotImplemented();
    }
  }
  return ApplyOperation(state, op, operands, out);
}

bool ReductionCall::KeepsDims() const { return keepdims != nullptr && capi::Truth(keepdims); }

double ReductionCall::Ddof() const {
  if (capi::Given(ddof) && capi::Given(correction)) {
    Raise(PyExc_ValueError, "ddof and correction can't be provided simultaneously.");
  }
  PyObject* const given = capi::Given(ddof) ? ddof : correction;
  return capi::Given(given) ? capi::Double(given) : 0;
}

array::AxisSet AxesFromObject(PyObject* axis, int ndim) {
  if (axis == nullptr || axis == Py_None) return array::AllAxes(ndim);
  if (ndim == 0 && PyIndex_Check(axis)) {  // NumPy lets 0 and -1 pass
    if (const int64_t only = capi::Integer(axis); only == 0 || only == -1) return {};
  }
  array::AxisSet axes;
  for (const int64_t value : ShapeFromObject(axis)) {
    const int normal = capi::Take(base::NormalizeAxis(value, ndim));
    if (axes[static_cast<size_t>(normal)]) Raise(PyExc_ValueError, "duplicate value in 'axis'");
    axes.set(static_cast<size_t>(normal));
  }
  return axes;
}

namespace {

// The axes of a reduction: places are those along one axis, or of all elements.
array::AxisSet AxesOf(simd::Reduction reduction, PyObject* axis, int ndim) {
  if (simd::IsPlace(reduction) && capi::Given(axis) && !PyIndex_Check(axis)) {
    Raise(PyExc_TypeError, "'%.200s' object cannot be interpreted as an integer",
          Py_TYPE(axis)->tp_name);
  }
  return AxesFromObject(axis, ndim);
}

// A view of one number of kind `kind`, whose bytes are `item`.
View ViewOfItem(Kind kind, std::byte* item) {
  View view;
  view.data = item;
  view.layout.dtype = DType(kind);
  return view;
}

}  // namespace

Ref ResultArray(ModuleState* state, const char* name, Kind kind, const base::Dims& shape,
                PyObject* out) {
  if (!capi::Given(out)) return NewArray(state, capi::Take(array::Empty(DType(kind), shape)));
  Ref target = OutArray(state, out);
  const View& view = AsArray(target.get())->view;
  CheckOut(name, view, kind);
  if (view.layout.shape == shape) return target;
  Raise(PyExc_ValueError, "%s(): out has shape %s, but the result has shape %s", name,
        base::ToString(view.layout.shape).c_str(), base::ToString(shape).c_str());
}

Ref ResultObject(const Ref& result, PyObject* out) {
  if (capi::Given(out)) return Ref::Borrow(out);
  const View& view = AsArray(result.get())->view;
  return view.ndim() == 0 ? ItemToObject(view.dtype(), view.data) : Ref::Borrow(result.get());
}

Ref ApplyReduction(ModuleState* state, simd::Reduction reduction, PyObject* object,
                   const ReductionCall& call) {
  if (IsExpression(state, object)) return LazyReduction(state, reduction, object, call);
  const Ref array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  const View& view = AsArray(array.get())->view;
  const char* name = simd::InfoOf(reduction).name;
  RequireNumeric(view.dtype(), name);
  const Kind kind = capi::Take(array::ResolveReduction(reduction, view.dtype().kind()));
  const array::AxisSet axes = AxesOf(reduction, call.axis, view.ndim());
  const base::Dims shape = array::ReducedShape(view.layout.shape, axes, call.KeepsDims());
  array::ReduceHow how;
  how.ddof = call.Ddof();
  how.precise = call.precise != nullptr && capi::Truth(call.precise);
  Ref where;
  if (capi::Given(call.where)) {
    where = AsArrayObject(state, call.where, nullptr, nullptr);
    CheckOpen(AsArray(where.get()));
    how.where = &AsArray(where.get())->view;
  }
  std::byte initial_item[16], result_item[16];
  const View initial = ViewOfItem(kind, initial_item);
  if (capi::Given(call.initial)) {
    ObjectToItem(initial.dtype(), call.initial, initial_item);
    how.initial = &initial;
  }
  const auto run = [&](const View& out) {
    capi::Check(RunDetached(view.layout.nbytes(),
                            [&] { return array::Reduce(reduction, view, axes, how, out); }));
  };
  if (!capi::Given(call.out) && shape.empty()) {  // one number needs no array
    run(ViewOfItem(kind, result_item));
    return ItemToObject(DType(kind), result_item);
  }
  const Ref result = ResultArray(state, name, kind, shape, call.out);
  run(AsArray(result.get())->view);
  return ResultObject(result, call.out);
}

}  // namespace spanflow::bindings
