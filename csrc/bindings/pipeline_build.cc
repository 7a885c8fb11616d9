#include "bindings/pipeline_build.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/expression.h"
#include "bindings/operation.h"
#include "bindings/pipeline_served.h"
#include "bindings/pipeline_stages.h"
#include "bindings/pipeline_value.h"
#include "capi/object.h"
#include "expr/text.h"
#include "pipeline/array_stages.h"
#include "pipeline/expression.h"
#include "pipeline/rows_source.h"
#include "pipeline/stages.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Raise;
using capi::Ref;
using pipeline::Operation;
using StageList = std::vector<std::shared_ptr<const pipeline::Stage>>;

struct StageRow;

// One stage as Python describes it; all references are borrowed.
struct Spec {
  const StageRow* row;
  PyObject* function;  // an operation, an expression, a callable, or what the row says
  PyObject* args;      // a tuple
  PyObject* kwargs;    // a dict or null
  uint64_t aligned;
  PyObject* workers;                   // a tuple (ServiceFrom) or null
  const OperationObject* operation;    // null for anything else
  const ExpressionObject* expression;  // null for anything else

  bool native() const { return operation != nullptr || expression != nullptr; }
};

// What a stage does with the items that it gets.
enum class Wants {
  kArrays,      // arrays: anything else is converted
  kAnything,    // what comes
  kByFunction,  // arrays for an operation or an expression, else anything
  kPasses,      // the same, and the items that come are those that go on
};

struct StageRow {
  const char* kind;
  Wants wants;
  bool is_sink;  // makes one result of all items
  bool each;     // its expression is computed for each array by itself
  // `to_arrays`: a stage that wants arrays comes next.
  void (*add)(ModuleState* state, const Spec& spec, bool to_arrays, Built* built);
};

const char* KindName(const Spec& spec) { return spec.row->kind; }

// An entry of the keyword arguments, which Python has checked; 0 where there is none.
int64_t IntegerOf(const Spec& spec, const char* name) {
  const Ref value = spec.kwargs == nullptr ? Ref() : capi::EntryOrNull(spec.kwargs, name);
  return value ? capi::Integer(value.get()) : 0;
}

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

pipeline::Expressions ExpressionsOf(const Spec& spec, Built* built) {
  if (PyTuple_GET_SIZE(spec.args) != 0 || spec.kwargs != nullptr) {
    Raise(PyExc_TypeError, "%s() of an expression takes no other arguments", KindName(spec));
  }
  Hold(built, spec.function);  // keeps the arrays in it
  const expr::NodeRef& root = spec.expression->node;
  return {{root}, expr::ColumnsOf(*root), false, spec.row->each};
}

void Add(Built* built, std::shared_ptr<const pipeline::Stage> stage) {
  built->pipeline.stages.push_back(std::move(stage));
}

// A stage whose function is called by threads of its own, whatever its row.
void AddServed(ModuleState* state, const Spec& spec, bool to_arrays, Built* built) {
  PythonCall call = CallFrom(state, spec, built);
  Hold(built, spec.workers);
  SkipLimits limits;
  const Service service = ServiceFrom(spec.workers, KindName(spec), to_arrays, &limits);
  const std::string name = call.name;
  Add(built, ServedStage({state, built->owned}, std::move(call), service));
  if (!service.skips) return;
  Add(built, SkipStage({state, built->owned}, name, limits, built->letters.get()));
}

// ---- the rows of the table ----

void AddMap(ModuleState* state, const Spec& spec, bool to_arrays, Built* built) {
  if (spec.expression != nullptr) {
    Add(built, pipeline::MapStage(ExpressionsOf(spec, built), KindName(spec)));
  } else if (spec.operation != nullptr) {
    Add(built, pipeline::MapStage(OperationFrom(state, spec, built)));
  } else {
    Add(built, CallStage({state, built->owned}, CallFrom(state, spec, built), to_arrays));
  }
}

void AddFilter(ModuleState* state, const Spec& spec, bool, Built* built) {
  if (spec.expression != nullptr) {
    Add(built, pipeline::FilterStage(ExpressionsOf(spec, built)));
  } else if (spec.operation != nullptr) {
    Add(built, pipeline::FilterStage(OperationFrom(state, spec, built)));
  } else {
    Add(built, CallFilter({state, built->owned}, CallFrom(state, spec, built)));
  }
}

void AddFlatMap(ModuleState* state, const Spec& spec, bool to_arrays, Built* built) {
  Add(built, CallFlatMap({state, built->owned}, CallFrom(state, spec, built), to_arrays));
}

void AddTap(ModuleState* state, const Spec& spec, bool, Built* built) {
  Add(built, CallTap({state, built->owned}, CallFrom(state, spec, built)));
}

void AddEnumerate(ModuleState* state, const Spec& spec, bool to_arrays, Built* built) {
  Add(built, EnumerateStage({state, built->owned}, IntegerOf(spec, "start"), to_arrays));
}

void AddTake(ModuleState*, const Spec& spec, bool, Built* built) {
  Add(built, pipeline::TakeStage(IntegerOf(spec, "n")));
}

void AddSkip(ModuleState*, const Spec& spec, bool, Built* built) {
  Add(built, pipeline::SkipStage(IntegerOf(spec, "n")));
}

uint64_t SeedOf(const Spec& spec) {
  const Ref seed = capi::EntryOrNull(spec.kwargs, "seed");
  const auto bits = PyLong_AsUnsignedLongLong(seed.get());
  if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
  return bits;
}

void AddShuffle(ModuleState*, const Spec& spec, bool, Built* built) {
  Add(built, pipeline::ShuffleStage({IntegerOf(spec, "buffer"), SeedOf(spec)}));
}

void AddSample(ModuleState*, const Spec& spec, bool, Built* built) {
  const Ref share = capi::EntryOrNull(spec.kwargs, "share");
  Add(built, pipeline::SampleStage({capi::Double(share.get()), SeedOf(spec)}));
}

void AddShard(ModuleState*, const Spec& spec, bool, Built* built) {
  Add(built, pipeline::ShardStage({IntegerOf(spec, "i"), IntegerOf(spec, "n")}));
}

void AddTransform(ModuleState* state, const Spec& spec, bool to_arrays, Built* built) {
  Add(built, CallTransform({state, built->owned}, CallFrom(state, spec, built), to_arrays));
}

void AddBatch(ModuleState* state, const Spec& spec, bool to_arrays, Built* built) {
  Add(built, pipeline::GroupStage(IntegerOf(spec, "n"), IntegerOf(spec, "drop_last") != 0));
  Hold(built, spec.function);
  const std::string name = "stacking of " + built->pipeline.stages.back()->Name();
  Add(built, CollateStage({state, built->owned}, name, spec.function, to_arrays));
}

void AddRebatch(ModuleState*, const Spec& spec, bool, Built* built) {
  Add(built, pipeline::CutStage({IntegerOf(spec, "rows"), IntegerOf(spec, "nbytes"),
                                 IntegerOf(spec, "drop_last") != 0}));
  const std::string name = "joining of " + built->pipeline.stages.back()->Name();
  Add(built, pipeline::JoinStage(pipeline::Join::kConcat, name));
}

void AddUnbatch(ModuleState* state, const Spec&, bool to_arrays, Built* built) {
  Add(built, CallFlatMap({state, built->owned}, {"unbatch", nullptr, nullptr, nullptr}, to_arrays));
}

void AddReduce(ModuleState* state, const Spec& spec, bool, Built* built) {
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
    built->pipeline.stages.push_back(std::move(stage));
  }
}

void AddCollect(ModuleState*, const Spec&, bool, Built* built) {
  Add(built, pipeline::CollectStage());
}

constexpr StageRow kRows[] = {
    {"map", Wants::kByFunction, false, false, &AddMap},
    {"cast", Wants::kArrays, false, true, &AddMap},
    {"normalize", Wants::kArrays, false, true, &AddMap},
    {"filter", Wants::kPasses, false, false, &AddFilter},
    {"flat_map", Wants::kAnything, false, false, &AddFlatMap},
    {"tap", Wants::kPasses, false, false, &AddTap},
    {"enumerate", Wants::kAnything, false, false, &AddEnumerate},
    {"take", Wants::kPasses, false, false, &AddTake},
    {"skip", Wants::kPasses, false, false, &AddSkip},
    {"shuffle", Wants::kPasses, false, false, &AddShuffle},
    {"shard", Wants::kPasses, false, false, &AddShard},
    {"sample", Wants::kPasses, false, false, &AddSample},
    {"transform", Wants::kAnything, false, false, &AddTransform},
    {"batch", Wants::kAnything, false, false, &AddBatch},
    {"rebatch", Wants::kArrays, false, false, &AddRebatch},
    {"unbatch", Wants::kAnything, false, false, &AddUnbatch},
    {"reduce", Wants::kArrays, true, false, &AddReduce},
    {"collect", Wants::kArrays, true, false, &AddCollect},
};

Spec ReadSpec(ModuleState* state, PyObject* tuple) {
  Spec spec{};
  const char* kind;
  unsigned long long aligned;
  if (!PyArg_ParseTuple(tuple, "sOO!OK|O!", &kind, &spec.function, &PyTuple_Type, &spec.args,
                        &spec.kwargs, &aligned, &PyTuple_Type, &spec.workers)) {
    throw capi::PythonError{};
  }
  spec.aligned = aligned;
  if (!PyDict_Check(spec.kwargs) || PyDict_GET_SIZE(spec.kwargs) == 0) spec.kwargs = nullptr;
  spec.row = std::ranges::find_if(
      kRows, [kind](const StageRow& row) { return std::strcmp(row.kind, kind) == 0; });
  if (spec.row == std::end(kRows)) Raise(PyExc_ValueError, "unknown kind of stage '%s'", kind);
  if (Py_TYPE(spec.function) == state->operation_type) {
    spec.operation = reinterpret_cast<const OperationObject*>(spec.function);
  } else if (IsExpression(state, spec.function)) {
    spec.expression = AsExpression(spec.function);
  }
  return spec;
}

bool WantsArrays(const Spec& spec) {
  return spec.row->wants == Wants::kArrays ||
         (spec.row->wants != Wants::kAnything && spec.native());
}

// Arrays cut by rows, and no (iterable, name).
bool IsRows(PyObject* source) {
  return PyTuple_CheckExact(source) && PyTuple_GET_SIZE(source) != 2;
}

std::shared_ptr<const pipeline::Source> RowsFrom(const PythonSide& side, PyObject* source,
                                                 bool not_empty) {
  PyObject* arrays;
  long long rows;
  PyObject* names;
  int is_tuple;
  long long first;
  if (!PyArg_ParseTuple(source, "O!LpOL", &PyTuple_Type, &arrays, &rows, &is_tuple, &names,
                        &first)) {
    throw capi::PythonError{};
  }
  std::vector<pipeline::Part> parts;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arrays); ++i) {
    PyObject* array = PyTuple_GET_ITEM(arrays, i);
    if (!IsArray(side.state, array)) Raise(PyExc_TypeError, "read() needs arrays, got %R", array);
    CheckOpen(AsArray(array));
    parts.push_back(PartOf(side, AsArray(array)));
  }
  return capi::Take(pipeline::RowsSource::Make(
      std::move(parts), rows, {is_tuple != 0, NamesFrom(names)}, not_empty, first));
}

std::shared_ptr<const pipeline::Source> SourceFrom(ModuleState* state, PyObject* source,
                                                   bool not_empty, bool to_arrays, Built* built) {
  std::string name = std::string("iterate(") + Py_TYPE(source)->tp_name + ")";
  if (IsRows(source)) return RowsFrom({state, built->owned}, source, not_empty);
  if (PyTuple_CheckExact(source)) {
    name = capi::Text(PyTuple_GET_ITEM(source, 1));
    source = PyTuple_GET_ITEM(source, 0);
  }
  const Ref iterator = Check(PyObject_GetIter(source));
  Hold(built, iterator.get());
  return IteratorSource({state, built->owned}, name, iterator.get(), to_arrays);
}

}  // namespace

NativeWork NativeWorkOf(ModuleState* state, PyObject* stage, Built* built) {
  const Spec spec = ReadSpec(state, stage);
  if (spec.expression != nullptr) return ExpressionsOf(spec, built);
  if (spec.operation != nullptr) return OperationFrom(state, spec, built);
  return {};
}

Built BuildPipeline(ModuleState* state, PyObject* source, PyObject* stages, int prefetch) {
  Built built;
  built.held = Check(PyList_New(0));
  built.letters = Check(PyList_New(0));
  Hold(&built, built.letters.get());
  built.owned = std::make_shared<OwnedObjects>(state->hub);
  built.pipeline.prefetch = prefetch;
  std::vector<Spec> specs;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(stages); ++i) {
    specs.push_back(ReadSpec(state, PyTuple_GET_ITEM(stages, i)));
  }
  const auto wants_arrays = [&](size_t i) { return i < specs.size() && WantsArrays(specs[i]); };
  const bool not_empty = !specs.empty() && specs.back().row->is_sink;
  built.pipeline.source = SourceFrom(state, source, not_empty, wants_arrays(0), &built);
  bool arrays = IsRows(source) || wants_arrays(0);  // nothing else comes
  for (size_t i = 0; i < specs.size(); ++i) {
    const Spec& spec = specs[i];
    // Not before: an item that cannot be converted may never get here.
    if (wants_arrays(i) && !arrays) Add(&built, AsArrayStage({state, built.owned}));
    const auto add = spec.workers != nullptr ? &AddServed : spec.row->add;
    add(state, spec, wants_arrays(i + 1), &built);
    if (WantsArrays(spec)) {
      arrays = true;
    } else if (spec.row->wants != Wants::kPasses) {
      arrays = wants_arrays(i + 1);
    }
  }
  return built;
}

}  // namespace spanflow::bindings
