// What the process and the machine can do: SIMD targets, threads, caches, memory.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "array/create.h"
#include "array/probe.h"
#include "array/promote.h"
#include "array/reduce.h"
#include "bindings/array_object.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/functions.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "memory/heap.h"
#include "platform/thread.h"
#include "platform/topology.h"
#include "runtime/pool.h"
#include "simd/kernels.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Raise;
using capi::Ref;

Ref SimdTargets(PyObject*, PyObject*) {
  Ref list = Check(PyList_New(0));
  for (const std::string& name : simd::AvailableTargets()) {
    capi::CheckStatus(PyList_Append(list.get(), Check(PyUnicode_FromString(name.c_str())).get()));
  }
  return list;
}

Ref SimdTarget(PyObject*, PyObject*) {
  return Check(PyUnicode_FromString(simd::TargetInUse().c_str()));
}

Ref UseSimdTarget(PyObject*, PyObject* name) {
  const char* text = name == Py_None ? "" : PyUnicode_AsUTF8(name);
  if (text == nullptr) throw capi::PythonError{};
  if (!simd::UseTarget(text)) {
    std::string known;
    for (const std::string& target : simd::AvailableTargets()) known += " " + target;
    Raise(PyExc_ValueError, "no SIMD target %R on this machine; there are:%s", name, known.c_str());
  }
  return capi::None();
}

Ref NumThreads(PyObject*, PyObject*) { return Check(PyLong_FromLong(runtime::NumThreads())); }

Ref SetNumThreads(PyObject*, PyObject* count) {
  const long value = PyLong_AsLong(count);
  if (value == -1 && PyErr_Occurred() != nullptr) throw capi::PythonError{};
  if (value < 1 || value > 1024) {
    Raise(PyExc_ValueError, "the number of threads must be between 1 and 1024, got %ld", value);
  }
  {
    const capi::DetachScope detached;
    runtime::SetNumThreads(static_cast<int>(value));
  }
  return capi::None();
}

Ref MemoryStats(PyObject*, PyObject*) {
  const memory::HeapStats stats = memory::GetHeapStats();
  return Check(Py_BuildValue("{sLsLsLsLsL}", "live_bytes", static_cast<long long>(stats.live_bytes),
                             "peak_bytes", static_cast<long long>(stats.peak_bytes), "live_blocks",
                             static_cast<long long>(stats.live_blocks), "cached_bytes",
                             static_cast<long long>(stats.cached_bytes), "peak_rss",
                             static_cast<long long>(platform::PeakResidentBytes())));
}

Ref TrimMemory(PyObject*, PyObject*) {
  {
    const capi::DetachScope detached;
    memory::TrimHeap();
  }
  return capi::None();
}

Ref Machine(PyObject*, PyObject*) {
  const platform::CacheSizes& caches = platform::Caches();
  return Check(Py_BuildValue("{sisLsLsLsLss}", "cores", platform::UsableCores(), "memory",
                             static_cast<long long>(platform::UsableMemory()), "l1d",
                             static_cast<long long>(caches.l1_data), "l2",
                             static_cast<long long>(caches.l2), "last_level_cache",
                             static_cast<long long>(caches.last_level), "allocator",
                             memory::AllocatorName()));
}

// Passes over memory that do nothing else (array/probe.h): what the lab holds kernels against.
// Returns the bytes that one moves.
Ref Pass(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("_pass",
                                                 {"arrays", "out", "past_caches", "repeats"}, 4, 4);
  const auto [arrays, out, past_caches, repeats] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  if (!PyTuple_Check(arrays)) Raise(PyExc_TypeError, "a pass needs a tuple of arrays");
  std::vector<Ref> held;
  std::vector<array::View> in;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arrays); ++i) {
    held.push_back(AsArrayObject(state, PyTuple_GET_ITEM(arrays, i), nullptr, nullptr));
    in.push_back(AsArray(held.back().get())->view);
  }
  array::Traffic traffic{in, nullptr, capi::Truth(past_caches)};
  if (out != Py_None) {
    held.push_back(OutArray(state, out));
    traffic.out = &AsArray(held.back().get())->view;
  }
  const int64_t times = capi::Integer(repeats);
  int64_t moved = 0;
  capi::Check(RunDetached(kDetachBytes, [&]() -> base::Status {
    SPANFLOW_ASSIGN(moved, array::Pass(traffic, times));
    return base::Status::Ok();
  }));
  return Check(PyLong_FromLongLong(moved));
}

// Several reductions of all elements in one pass: what `describe` stands on.
Ref ReduceMany(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("_reduce_many", {"a", "operations", "ddof"}, 3, 2);
  const auto [object, operations, ddof_object] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const Ref array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  const array::View& view = AsArray(array.get())->view;
  const double ddof = ddof_object == nullptr ? 0 : capi::Double(ddof_object);
  const std::vector<simd::Reduction> reductions = ReductionsFrom(state, operations);
  const size_t count = reductions.size();
  std::vector<array::View> outs(count);
  for (size_t i = 0; i < count; ++i) {
    outs[i] = capi::Take(array::Empty(
        base::DType(capi::Take(array::ResolveReduction(reductions[i], view.dtype().kind()))), {}));
  }
  capi::Check(RunDetached(view.layout.nbytes(),
                          [&] { return array::ReduceMany(reductions, view, ddof, outs); }));
  Ref results = Check(PyTuple_New(static_cast<Py_ssize_t>(count)));
  for (size_t i = 0; i < count; ++i) {
    PyTuple_SET_ITEM(results.get(), static_cast<Py_ssize_t>(i),
                     ItemToObject(outs[i].dtype(), outs[i].data).release());
  }
  return results;
}

}  // namespace

PyMethodDef system_functions[] = {
    {"_simd_targets", capi::Method<&SimdTargets>(), METH_NOARGS, nullptr},
    {"_simd_target", capi::Method<&SimdTarget>(), METH_NOARGS, nullptr},
    {"_use_simd_target", capi::Method<&UseSimdTarget>(), METH_O, nullptr},
    {"get_num_threads", capi::Method<&NumThreads>(), METH_NOARGS,
     "get_num_threads()\n--\n\nHow many threads one call may use, the calling one included."},
    {"set_num_threads", capi::Method<&SetNumThreads>(), METH_O,
     "set_num_threads(n, /)\n--\n\nLet one call use up to n threads, the calling one included."},
    {"memory_stats", capi::Method<&MemoryStats>(), METH_NOARGS,
     "memory_stats()\n--\n\nBytes of heap arrays alive, at their peak and kept for reuse, and the\n"
     "peak resident size of the process."},
    {"trim_memory", capi::Method<&TrimMemory>(), METH_NOARGS,
     "trim_memory()\n--\n\nGive memory that is kept for reuse back to the system."},
    {"_machine", capi::Method<&Machine>(), METH_NOARGS, nullptr},
    {"_pass", capi::Method<&Pass>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"_reduce_many", capi::Method<&ReduceMany>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
