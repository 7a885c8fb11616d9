#include "bindings/pipeline_build.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/operation.h"
#include "bindings/pipeline_stages.h"
#include "bindings/pipeline_value.h"
#include "capi/object.h"
#include "pipeline/array_stages.h"
#include "pipeline/rows_source.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Raise;
using capi::Ref;
using pipeline::Operation;
using StageList = std::vector<std::shared_ptr<const pipeline::Stage>>;

// One stage as Python describes it; all references are borrowed.
struct Spec {
  enum class Kind { kMap, kFilter, kReduce, kCollect };
  Kind kind;
  PyObject* function;
  PyObject* args;    // a tuple
  PyObject* kwargs;  // a dict or null
  uint64_t aligned;
  const OperationObject* operation;  // null for Python callables

  bool native() const { return operation != nullptr || kind >= Kind::kReduce; }
};

Spec ReadSpec(ModuleState* state, PyObject* tuple) {
  Spec spec{};
  const char* kind;
  unsigned long long aligned;
  if (!PyArg_ParseTuple(tuple, "sOO!OK", &kind, &spec.function, &PyTuple_Type, &spec.args,
                        &spec.kwargs, &aligned)) {
    throw capi::PythonError{};
  }
  spec.aligned = aligned;
  if (!PyDict_Check(spec.kwargs) || PyDict_GET_SIZE(spec.kwargs) == 0) spec.kwargs = nullptr;
  constexpr const char* kKinds[] = {"map", "filter", "reduce", "collect"};
  const auto* found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const char* name) { return std::strcmp(name, kind) == 0; });
  if (found == std::end(kKinds)) Raise(PyExc_ValueError, "unknown kind of stage '%s'", kind);
  spec.kind = static_cast<Spec::Kind>(found - kKinds);
  if (Py_TYPE(spec.function) == state->operation_type) {
    spec.operation = reinterpret_cast<const OperationObject*>(spec.function);
  }
  return spec;
}

const char* KindName(const Spec& spec) { return spec.kind == Spec::Kind::kMap ? "map" : "filter"; }

std::string NameOf(PyObject* callable) {
  const Ref name = capi::AttributeOrNull(callable, "__name__");
  return name && PyUnicode_Check(name.get()) ? capi::Text(name.get()) : Py_TYPE(callable)->tp_name;
}

pipeline::Scalar ScalarFrom(PyObject* object) {
  if (PyBool_Check(object)) return object == Py_True;
  if (PyFloat_Check(object)) return PyFloat_AS_DOUBLE(object);
  if (PyComplex_Check(object)) {
    return std::pair(PyComplex_RealAsDouble(object), PyComplex_ImagAsDouble(object));
  }
  int overflow;
  const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow == 0) return int64_t{value};
  const unsigned long long large = overflow > 0 ? PyLong_AsUnsignedLongLong(object) : 0;
  if (overflow < 0 || PyErr_Occurred() != nullptr) {
    Raise(PyExc_OverflowError, "the number %R does not fit any integer dtype", object);
  }
  return uint64_t{large};
}

void Hold(Built* built, PyObject* object) {
  capi::CheckStatus(PyList_Append(built->held.get(), object));
}

// An operand after the chunk's own arrays.
pipeline::Operand OperandFrom(ModuleState* state, const Spec& spec, Py_ssize_t i, Built* built) {
  PyObject* object = PyTuple_GET_ITEM(spec.args, i);
  if (!IsArray(state, object) && IsPythonScalar(object)) return {ScalarFrom(object)};
  const Ref array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  Hold(built, array.get());  // keeps a foreign array's bytes
  return {pipeline::Part(AsArray(array.get())->view), ((spec.aligned >> i) & 1) != 0};
}

void RefuseKeywords(const Spec& spec, const char* operation) {
  if (spec.kwargs == nullptr) return;
  Raise(PyExc_TypeError, "%s(%s) takes no keyword arguments; operands follow the operation",
        KindName(spec), operation);
}

// clip(None, upper) is minimum, and the other way round.
Operation ClipFrom(ModuleState* state, const Spec& spec, Built* built) {
  pipeline::Elementwise work{simd::Op::kClip, {}};
  const Py_ssize_t count = PyTuple_GET_SIZE(spec.args);
  const bool lower = count > 0 && PyTuple_GET_ITEM(spec.args, 0) != Py_None;
  const bool upper = count > 1 && PyTuple_GET_ITEM(spec.args, 1) != Py_None;
  if (!lower && !upper) Raise(PyExc_ValueError, "clip needs a lower or an upper limit");
  if (!upper) work.op = simd::Op::kMaximum;
  if (!lower) work.op = simd::Op::kMinimum;
  if (lower) work.operands.push_back(OperandFrom(state, spec, 0, built));
  if (upper) work.operands.push_back(OperandFrom(state, spec, 1, built));
  return Operation(std::move(work));
}

Operation ElementwiseFrom(ModuleState* state, const Spec& spec, Built* built) {
  const simd::OpInfo& info = simd::InfoOf(spec.operation->op());
  RefuseKeywords(spec, info.name);
  const Py_ssize_t count = PyTuple_GET_SIZE(spec.args);
  if (count >= info.arity) {
    Raise(PyExc_TypeError, "%s(%s) takes at most %d operands after the item, got %zd",
          KindName(spec), info.name, info.arity - 1, count);
  }
  if (spec.operation->op() == simd::Op::kClip) return ClipFrom(state, spec, built);
  pipeline::Elementwise work{spec.operation->op(), {}};
  for (Py_ssize_t i = 0; i < count; ++i) {
    work.operands.push_back(OperandFrom(state, spec, i, built));
  }
  return Operation(std::move(work));
}

Operation ReductionFrom(const Spec& spec) {
  pipeline::ReduceAxes work{spec.operation->reduction()};
  PyObject* axis = nullptr;
  int keepdims = 0;
  static const char* names[] = {"axis", "keepdims", "ddof", nullptr};
  if (!PyArg_ParseTupleAndKeywords(spec.args, spec.kwargs, "|O$pd", const_cast<char**>(names),
                                   &axis, &keepdims, &work.ddof)) {
    throw capi::PythonError{};
  }
  work.keepdims = keepdims != 0;
  work.all_axes = axis == nullptr || axis == Py_None;
  if (!work.all_axes) {
    const base::Dims axes = ShapeFromObject(axis);
    work.axes.assign(axes.begin(), axes.end());
  }
  return Operation(std::move(work));
}

Operation OperationFrom(ModuleState* state, const Spec& spec, Built* built) {
  return spec.operation->is_reduction ? ReductionFrom(spec) : ElementwiseFrom(state, spec, built);
}

// Arrays for aligned(), so that the stage can cut them; everything is held.
PythonCall CallFrom(ModuleState* state, const Spec& spec, Built* built) {
  const Py_ssize_t count = PyTuple_GET_SIZE(spec.args);
  const Ref args = Check(PyTuple_New(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* arg = PyTuple_GET_ITEM(spec.args, i);
    const bool aligned = i < 64 && ((spec.aligned >> i) & 1) != 0;
    Ref passed = aligned ? AsArrayObject(state, arg, nullptr, nullptr) : Ref::Borrow(arg);
    PyTuple_SET_ITEM(args.get(), i, passed.release());
  }
  Hold(built, spec.function);
  Hold(built, args.get());
  if (spec.kwargs != nullptr) Hold(built, spec.kwargs);
  return {std::string(KindName(spec)) + "(" + NameOf(spec.function) + ")", spec.function,
          args.get(), spec.kwargs, spec.aligned};
}

void AddReduce(ModuleState* state, const Spec& spec, StageList* stages) {
  std::vector<simd::Reduction> reductions;
  if (!PyTuple_Check(spec.function)) Raise(PyExc_TypeError, "reduce needs a tuple of reductions");
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(spec.function); ++i) {
    PyObject* item = PyTuple_GET_ITEM(spec.function, i);
    const auto* operation = reinterpret_cast<const OperationObject*>(item);
    if (Py_TYPE(item) != state->operation_type || !operation->is_reduction) {
      Raise(PyExc_TypeError, "reduce needs reductions such as sf.sum, got %R", item);
    }
    reductions.push_back(operation->reduction());
  }
  if (reductions.empty()) Raise(PyExc_ValueError, "reduce needs at least one reduction");
  double ddof = 0;
  const Ref given = spec.kwargs == nullptr ? Ref() : capi::EntryOrNull(spec.kwargs, "ddof");
  if (given) ddof = capi::Double(given.get());
  for (auto& stage : pipeline::ReduceStages(std::move(reductions), ddof)) {
    stages->push_back(std::move(stage));
  }
}

// `to_arrays`: a native stage comes next.
void AddStage(ModuleState* state, const Spec& spec, bool to_arrays, Built* built) {
  StageList* stages = &built->pipeline.stages;
  switch (spec.kind) {
    case Spec::Kind::kReduce:
      return AddReduce(state, spec, stages);
    case Spec::Kind::kCollect:
      return stages->push_back(pipeline::CollectStage());
    case Spec::Kind::kMap:
      stages->push_back(spec.native() ? pipeline::MapStage(OperationFrom(state, spec, built))
                                      : CallStage({state, built->owned},
                                                  CallFrom(state, spec, built), to_arrays));
      return;
    case Spec::Kind::kFilter:
      stages->push_back(spec.native()
                            ? pipeline::FilterStage(OperationFrom(state, spec, built))
                            : CallFilter({state, built->owned}, CallFrom(state, spec, built)));
      return;
  }
}

std::shared_ptr<const pipeline::Source> RowsFrom(const PythonSide& side, PyObject* source,
                                                 bool not_empty) {
  PyObject* arrays;
  long long rows;
  int is_tuple;
  if (!PyArg_ParseTuple(source, "O!Lp", &PyTuple_Type, &arrays, &rows, &is_tuple)) {
    throw capi::PythonError{};
  }
  std::vector<pipeline::Part> parts;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arrays); ++i) {
    PyObject* array = PyTuple_GET_ITEM(arrays, i);
    if (!IsArray(side.state, array)) Raise(PyExc_TypeError, "read() needs arrays, got %R", array);
    CheckOpen(AsArray(array));
    parts.push_back(PartOf(side, AsArray(array)));
  }
  return capi::Take(pipeline::RowsSource::Make(std::move(parts), rows, is_tuple != 0, not_empty));
}

std::shared_ptr<const pipeline::Source> SourceFrom(ModuleState* state, PyObject* source,
                                                   bool not_empty, bool to_arrays, Built* built) {
  if (PyTuple_CheckExact(source)) return RowsFrom({state, built->owned}, source, not_empty);
  const Ref iterator = Check(PyObject_GetIter(source));
  Hold(built, iterator.get());
  const std::string name = std::string("iterate(") + Py_TYPE(source)->tp_name + ")";
  return IteratorSource({state, built->owned}, name, iterator.get(), to_arrays);
}

}  // namespace

Built BuildPipeline(ModuleState* state, PyObject* source, PyObject* stages, int prefetch) {
  Built built;
  built.held = Check(PyList_New(0));
  built.owned = std::make_shared<OwnedObjects>(state->hub);
  built.pipeline.prefetch = prefetch;
  std::vector<Spec> specs;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(stages); ++i) {
    specs.push_back(ReadSpec(state, PyTuple_GET_ITEM(stages, i)));
  }
  // Backwards: a Python filter passes on what it gets, so what it gets must suit what follows it.
  std::vector<bool> to_arrays(specs.size() + 1, false);
  for (size_t i = specs.size(); i > 0; --i) {
    const Spec& spec = specs[i - 1];
    const bool passes_on = spec.kind == Spec::Kind::kFilter && !spec.native();
    to_arrays[i - 1] = passes_on ? to_arrays[i] : spec.native();
  }
  const bool not_empty = !specs.empty() && specs.back().kind >= Spec::Kind::kReduce;
  built.pipeline.source = SourceFrom(state, source, not_empty, to_arrays[0], &built);
  for (size_t i = 0; i < specs.size(); ++i) AddStage(state, specs[i], to_arrays[i + 1], &built);
  return built;
}

}  // namespace spanflow::bindings
