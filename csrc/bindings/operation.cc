#include "bindings/operation.h"

#include <cstring>
#include <string>

#include "array/create.h"
#include "array/elementwise.h"
#include "array/promote.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "capi/args.h"
#include "capi/entry.h"

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
  Ref array;
  std::byte item[16];  // the scalar's bytes once its dtype is known
  View item_view;      // of these bytes

  const View& view() const { return AsArray(array.get())->view; }
};

using Views = std::span<const View* const>;

struct Operands {
  Operand operand[kMaxArity];
  OperandType types[kMaxArity];
  int count = 0;

  std::span<const OperandType> type_span() const { return {types, static_cast<size_t>(count)}; }
};

Weak WeakOf(PyObject* scalar) {
  if (PyBool_Check(scalar)) return Weak::kBool;
  if (PyLong_Check(scalar)) return Weak::kInt;
  return PyFloat_Check(scalar) ? Weak::kFloat : Weak::kComplex;
}

void RequireNumeric(const DType& dtype, const char* name) {
  if (dtype.numeric()) return;
  Raise(PyExc_TypeError, "%s() works on numbers, not on %s%s", name, dtype.ToString().c_str(),
        dtype.kind() == Kind::kRecord ? "; take one field, as in a['name']" : "");
}

void ReadOperand(ModuleState* state, const char* name, PyObject* object, Operands* operands) {
  Operand& operand = operands->operand[operands->count];
  OperandType& type = operands->types[operands->count++];
  if (!IsArray(state, object) && IsPythonScalar(object)) {
    operand.scalar = object;
    type.weak = WeakOf(object);
    return;
  }
  operand.array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(operand.array.get()));
  RequireNumeric(operand.view().dtype(), name);
  type.kind = operand.view().dtype().kind();
}

// Whether an operator should try at all: anything else gets NotImplemented, so that the other
// operand's class has its say.
bool IsOperandLike(ModuleState* state, PyObject* object) {
  return IsArray(state, object) || IsPythonScalar(object) || PyObject_CheckBuffer(object) ||
         PyList_Check(object) || PyTuple_Check(object) || PyLong_Check(object) ||
         PyFloat_Check(object) || PyObject_HasAttrString(object, "__array_interface__") == 1;
}

// A Python int beside narrower integers compares by value, so it must not be squeezed into their
// kind: it takes part as int64, uint64 or, beyond those, as float64.
void WidenComparedInts(Operands* operands) {
  const Kind common = array::PromoteOperands(operands->type_span());
  if (!base::IsInteger(common)) return;
  for (int i = 0; i < operands->count; ++i) {
    Operand& operand = operands->operand[i];
    if (operands->types[i].weak != Weak::kInt) continue;
    try {
      ObjectToItem(DType(common), operand.scalar, operand.item);
    } catch (const capi::PythonError&) {
      PyErr_Clear();
      int overflow;
      (void)PyLong_AsLongLongAndOverflow(operand.scalar, &overflow);
      const bool fits_unsigned =
          overflow > 0 && (PyLong_AsUnsignedLongLong(operand.scalar) != ~0ULL || !PyErr_Occurred());
      PyErr_Clear();
      operands->types[i] = {overflow == 0   ? Kind::kI64
                            : fits_unsigned ? Kind::kU64
                                            : Kind::kF64,
                            Weak::kNone};
    }
  }
}

const View* OperandView(Operand& operand, const OperandType& type, const array::OpTypes& types) {
  if (operand.scalar == nullptr) return &operand.view();
  // A scalar that was made strong keeps its own kind; `where` reads its condition as bool.
  const Kind kind = type.weak == Weak::kNone ? type.kind : types.operand;
  ObjectToItem(DType(kind), operand.scalar, operand.item);
  operand.item_view.data = operand.item;
  operand.item_view.layout.dtype = DType(kind);
  return &operand.item_view;
}

int Category(Kind kind) {
  if (kind == Kind::kBool) return 0;
  if (base::IsUnsigned(kind)) return 1;
  if (base::IsSigned(kind)) return 2;
  return base::IsFloat(kind) ? 3 : 4;
}

void CheckOut(const char* name, const View& out, Kind result) {
  RequireNumeric(out.dtype(), name);
  CheckWritable(out);
  if (Category(result) > Category(out.dtype().kind())) {
    Raise(PyExc_TypeError, "%s() gives %s, which does not cast to out's dtype %s (rule: same_kind)",
          name, base::InfoOf(result).name, out.dtype().ToString().c_str());
  }
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

// `out` as an Array over its own bytes; NumPy arrays and other exporters serve as well.
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
    if (!view->layout.f_contiguous() || view->layout.c_contiguous()) return false;
    any = true;
  }
  return any;
}

Ref ScalarOrArray(ModuleState* state, View view) {
  if (view.ndim() == 0) return ItemToObject(view.dtype(), view.data);
  return NewArray(state, std::move(view));
}

Ref Run(ModuleState* state, simd::Op op, Operands& operands, PyObject* out) {
  const simd::OpInfo& info = simd::InfoOf(op);
  if (info.rule == simd::TypeRule::kCompare) WidenComparedInts(&operands);
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

OperationObject* AsOperation(PyObject* self) { return reinterpret_cast<OperationObject*>(self); }

const char* NameOf(const OperationObject* self) {
  return self->is_reduction ? simd::InfoOf(self->reduction()).name : simd::InfoOf(self->op()).name;
}
const char* SummaryOf(const OperationObject* self) {
  return self->is_reduction ? simd::InfoOf(self->reduction()).summary
                            : simd::InfoOf(self->op()).summary;
}

Ref CallElementwise(OperationObject* self, PyObject* const* args, Py_ssize_t nargs,
                    PyObject* kwnames) {
  static constexpr capi::Signature<2> kUnary("operation", {"x", "out"}, 2, 1);
  static constexpr capi::Signature<3> kBinary("operation", {"x1", "x2", "out"}, 3, 2);
  static constexpr capi::Signature<4> kClip("clip", {"x", "lower", "upper", "out"}, 4, 1);
  static constexpr capi::Signature<4> kTernary("operation", {"condition", "x", "y", "out"}, 4, 3);
  const simd::Op op = self->op();
  switch (simd::InfoOf(op).arity) {
    case 1: {
      const auto values = kUnary.Parse(args, nargs, kwnames);
      return ApplyOperation(self->state, op, std::span(values).first(1), values[1]);
    }
    case 2: {
      const auto values = kBinary.Parse(args, nargs, kwnames);
      return ApplyOperation(self->state, op, std::span(values).first(2), values[2]);
    }
    default:
      break;
  }
  if (op == simd::Op::kClip) {
    auto values = kClip.Parse(args, nargs, kwnames);
    for (int i = 1; i < 3; ++i) {
      if (values[static_cast<size_t>(i)] == nullptr) values[static_cast<size_t>(i)] = Py_None;
    }
    return ApplyOperation(self->state, op, std::span(values).first(3), values[3]);
  }
  const auto values = kTernary.Parse(args, nargs, kwnames);
  return ApplyOperation(self->state, op, std::span(values).first(3), values[3]);
}

Ref CallReduction(OperationObject* self, PyObject* const* args, Py_ssize_t nargs,
                  PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature("reduction",
                                                 {"a", "axis", "out", "keepdims", "ddof"}, 2, 1);
  const auto [a, axis, out, keepdims, ddof] = kSignature.Parse(args, nargs, kwnames);
  ReductionCall call{axis, out};
  if (keepdims != nullptr) call.keepdims = PyObject_IsTrue(keepdims) == 1;
  if (ddof != nullptr) call.ddof = PyFloat_AsDouble(ddof);
  if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
  return ApplyReduction(self->state, self->reduction(), a, call);
}

Ref Call(PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  OperationObject* self = AsOperation(callable);
  const Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
  return self->is_reduction ? CallReduction(self, args, nargs, kwnames)
                            : CallElementwise(self, args, nargs, kwnames);
}

Ref Repr(PyObject* self) {
  return Check(PyUnicode_FromFormat("<spanflow operation '%s'>", NameOf(AsOperation(self))));
}
Ref GetName(PyObject* self, void*) {
  return Check(PyUnicode_FromString(NameOf(AsOperation(self))));
}
Ref GetDoc(PyObject* self, void*) {
  const OperationObject* operation = AsOperation(self);
  const char* name = NameOf(operation);
  if (operation->is_reduction) {
    return Check(PyUnicode_FromFormat(
        "%s(a, axis=None, *, out=None, keepdims=False%s)\n\nReduces to %s.\n\n"
        "axis is None for all elements, an int or a tuple of ints.",
        name, operation->reduction() >= simd::Reduction::kVar ? ", ddof=0" : "",
        SummaryOf(operation)));
  }
  static constexpr const char* kArguments[] = {"x", "x1, x2", "condition, x, y"};
  const int arity = simd::InfoOf(operation->op()).arity;
  const char* arguments =
      operation->op() == simd::Op::kClip ? "x, lower, upper" : kArguments[arity - 1];
  return Check(
      PyUnicode_FromFormat("%s(%s, out=None)\n\nElementwise: %s.\n\n"
                           "Operands broadcast; dtypes promote as NumPy's do. out may be any array "
                           "of the result's shape "
                           "and may overlap the operands.",
                           name, arguments, SummaryOf(operation)));
}
Ref GetKind(PyObject* self, void*) {
  return Check(PyUnicode_FromString(AsOperation(self)->is_reduction ? "reduction" : "elementwise"));
}
// Operations pickle by name.
Ref Reduce(PyObject* self, PyObject*) { return GetName(self, nullptr); }

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OperationObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyGetSetDef getset[] = {
    {"__name__", reinterpret_cast<getter>(capi::Slot<&GetName>()), nullptr, nullptr, nullptr},
    {"__qualname__", reinterpret_cast<getter>(capi::Slot<&GetName>()), nullptr, nullptr, nullptr},
    {"__doc__", reinterpret_cast<getter>(capi::Slot<&GetDoc>()), nullptr, nullptr, nullptr},
    {"kind", reinterpret_cast<getter>(capi::Slot<&GetKind>()), nullptr,
     "'elementwise' or 'reduction'.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMethodDef methods[] = {{"__reduce__", capi::Method<&Reduce>(), METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
                       {Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
                       {Py_tp_repr, capi::Slot<&Repr>()},
                       {Py_tp_members, members},
                       {Py_tp_getset, getset},
                       {Py_tp_methods, methods},
                       {0, nullptr}};

void AddOperation(PyObject* module, ModuleState* state, bool is_reduction, int index) {
  Ref object = Check(state->operation_type->tp_alloc(state->operation_type, 0));
  OperationObject* self = AsOperation(object.get());
  self->vectorcall = capi::Entry<&Call>;
  self->state = state;
  self->is_reduction = is_reduction;
  self->index = static_cast<uint8_t>(index);
  capi::CheckStatus(PyModule_AddObjectRef(module, NameOf(self), object.get()));
}

}  // namespace

PyType_Spec operation_spec = {"spanflow.Operation", sizeof(OperationObject), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                  Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                              slots};

void AddOperations(PyObject* module, ModuleState* state) {
  for (int i = 0; i < simd::kNumOps; ++i) AddOperation(module, state, false, i);
  for (int i = 0; i < simd::kNumReductions; ++i) AddOperation(module, state, true, i);
}

Ref ApplyOperation(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                   PyObject* out) {
  if (op == simd::Op::kClip && (operands[1] == Py_None || operands[2] == Py_None)) {
    return Clip(state, operands, out);
  }
  Operands read;
  for (PyObject* object : operands) ReadOperand(state, simd::InfoOf(op).name, object, &read);
  return Run(state, op, read, out);
}

Ref ApplyOperator(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                  PyObject* out) {
  for (PyObject* object : operands) {
    if (!IsOperandLike(state, object)) return capi::NotImplemented();
  }
  return ApplyOperation(state, op, operands, out);
}

array::AxisSet AxesFromObject(PyObject* axis, int ndim) {
  if (axis == nullptr || axis == Py_None) return array::AllAxes(ndim);
  array::AxisSet axes;
  for (const int64_t value : ShapeFromObject(axis)) {
    const int normal = capi::Take(base::NormalizeAxis(value, ndim));
    if (axes[static_cast<size_t>(normal)]) Raise(PyExc_ValueError, "duplicate value in 'axis'");
    axes.set(static_cast<size_t>(normal));
  }
  return axes;
}

Ref ApplyReduction(ModuleState* state, simd::Reduction reduction, PyObject* object,
                   const ReductionCall& call) {
  const Ref array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  const View& view = AsArray(array.get())->view;
  const char* name = simd::InfoOf(reduction).name;
  RequireNumeric(view.dtype(), name);
  const Kind kind = capi::Take(array::ResolveReduction(reduction, view.dtype().kind()));
  const array::AxisSet axes = AxesFromObject(call.axis, view.ndim());
  const base::Dims shape = array::ReducedShape(view.layout.shape, axes, call.keepdims);
  const auto run = [&](const View& out) {
    capi::Check(RunDetached(view.layout.nbytes(),
                            [&] { return array::Reduce(reduction, view, axes, call.ddof, out); }));
  };
  if (call.out == nullptr || call.out == Py_None) {
    if (shape.empty()) {  // one number needs no array
      std::byte item[16];
      View out;
      out.data = item;
      out.layout.dtype = DType(kind);
      run(out);
      return ItemToObject(out.dtype(), item);
    }
    View out = capi::Take(array::Empty(DType(kind), shape));
    run(out);
    return NewArray(state, std::move(out));
  }
  const Ref target = OutArray(state, call.out);
  const View& out = AsArray(target.get())->view;
  CheckOut(name, out, kind);
  if (!(out.layout.shape == shape)) {
    Raise(PyExc_ValueError, "%s(): out has shape %s, but the result has shape %s", name,
          base::ToString(out.layout.shape).c_str(), base::ToString(shape).c_str());
  }
  run(out);
  return Ref::Borrow(call.out);
}

}  // namespace spanflow::bindings
