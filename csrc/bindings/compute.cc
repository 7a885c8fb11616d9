#include "bindings/compute.h"

#include <string>
#include <utility>

#include "bindings/create.h"
#include "bindings/expression.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "runtime/pool.h"

namespace spanflow::bindings {

using array::View;
using capi::Check;
using capi::Raise;
using capi::Ref;

namespace {

int ThreadsFrom(PyObject* object) {
  int overflow = 0;
  const Ref index = Check(PyNumber_Index(object));
  const long long threads = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
  if (overflow != 0 || threads < 1 || threads > runtime::kMaxThreads) {
    Raise(PyExc_ValueError, "threads must be from 1 to %d, got %S", runtime::kMaxThreads, object);
  }
  return static_cast<int>(threads);
}

// Where results go, as arrays over the bytes of what the caller gave; null where nothing was.
struct Places {
  Places(ModuleState* state, std::span<PyObject* const> outs) {
    if (std::ranges::none_of(outs, &capi::Given)) return;
    for (PyObject* out : outs) {
      views.push_back(nullptr);
      if (!capi::Given(out)) continue;
      arrays.push_back(OutArray(state, out));
      views.back() = &AsArray(arrays.back().get())->view;
    }
  }

  std::vector<Ref> arrays;
  std::vector<const View*> views;  // empty where nothing was given at all
};

}  // namespace

void Columns::Add(ModuleState* state, std::string name, PyObject* object) {
  arrays_.push_back(AsArrayObject(state, object, nullptr, nullptr));
  const ArrayObject* array = AsArray(arrays_.back().get());
  CheckOpen(array);
  all_.push_back({std::move(name), &array->view});
}

Columns ColumnsFrom(ModuleState* state, PyObject* mapping) {
  Columns columns;
  if (!capi::Given(mapping)) return columns;
  const Ref items = Check(PyMapping_Items(mapping));
  const Ref pairs = capi::Items(items.get());
  for (PyObject* item : ItemsOf(pairs)) {
    const Ref pair = capi::Items(item);
    if (capi::Count(pair) != 2 || !PyUnicode_Check(capi::At(pair, 0))) {
      Raise(PyExc_TypeError, "columns are named by text");
    }
    columns.Add(state, capi::Text(capi::At(pair, 0)), capi::At(pair, 1));
  }
  return columns;
}

std::shared_ptr<expr::Computation> ComputationFor(std::span<const expr::NodeRef> roots,
                                                  ComputationCache* cache, const Columns& columns,
                                                  std::span<const View* const> outs) {
  if (cache != nullptr) {
    std::shared_ptr<expr::Computation> last = cache->Get();
    if (last != nullptr && last->Serves(columns.all(), outs)) return last;
  }
  std::shared_ptr<expr::Computation> made =
      capi::Take(expr::Computation::Make({roots.begin(), roots.end()}, columns.all(), outs));
  const expr::Graph& graph = made->graph();
  for (size_t i = 0; i < outs.size(); ++i) {
    if (outs[i] != nullptr) CheckOut("compute", *outs[i], graph[graph.roots[i]].kind);
  }
  if (cache != nullptr) cache->Set(made);
  return made;
}

std::vector<Ref> Compute(ModuleState* state, std::span<const expr::NodeRef> roots,
                         ComputationCache* cache, const Columns& columns,
                         std::span<PyObject* const> outs, PyObject* threads) {
  const Places places(state, outs);
  array::RunOptions options;
  if (capi::Given(threads)) options.threads = ThreadsFrom(threads);
  const std::shared_ptr<expr::Computation> computation =
      ComputationFor(roots, cache, columns, places.views);
  std::vector<View> views = capi::Take(RunDetached(computation->largest_bytes(), [&] {
    return computation->Run(columns.all(), places.views, options);
  }));
  std::vector<Ref> results;
  results.reserve(views.size());
  for (size_t i = 0; i < views.size(); ++i) {
    const bool is_given = !places.views.empty() && places.views[i] != nullptr;
    results.push_back(is_given ? Ref::Borrow(outs[i]) : ScalarOrArray(state, std::move(views[i])));
  }
  return results;
}

Ref TupleOf(std::vector<Ref> items) {
  Ref tuple = Check(PyTuple_New(static_cast<Py_ssize_t>(items.size())));
  for (size_t i = 0; i < items.size(); ++i) {
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), items[i].release());
  }
  return tuple;
}

Ref OutsFrom(PyObject* sequence, size_t count) {
  if (!capi::Given(sequence)) return Ref();
  Ref tuple = capi::Items(sequence);
  if (static_cast<size_t>(capi::Count(tuple)) != count) {
    Raise(PyExc_ValueError, "%zd outputs were given for %zu expressions", capi::Count(tuple),
          count);
  }
  return tuple;
}

std::span<PyObject* const> ItemsOf(const Ref& tuple) {
  if (!tuple) return {};
  return {&PyTuple_GET_ITEM(tuple.get(), 0), static_cast<size_t>(capi::Count(tuple))};
}

namespace {

Ref ComputeFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature(
      "_compute", {"expressions", "outs", "columns", "threads"}, 4, 1);
  const auto [objects, outs, columns, threads] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const Ref expressions = capi::Items(objects);
  const std::vector<expr::NodeRef> roots = NodesFrom(state, "compute", ItemsOf(expressions));
  const Ref places = OutsFrom(outs, roots.size());
  return TupleOf(
      Compute(state, roots, nullptr, ColumnsFrom(state, columns), ItemsOf(places), threads));
}

}  // namespace

PyMethodDef compute_functions[] = {
    {"_compute", capi::Method<&ComputeFunction>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
