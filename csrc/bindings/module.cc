// spanflow._core: multi-phase initialisation, per-interpreter state, the types and functions.
#include <atomic>
#include <new>

#include "bindings/array_object.h"
#include "bindings/compiled.h"
#include "bindings/compute.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "bindings/expression.h"
#include "bindings/functions.h"
#include "bindings/lease.h"
#include "bindings/operation.h"
#include "bindings/pipeline.h"
#include "bindings/workers.h"
#include "capi/entry.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;

// The module's memory holds one pointer: it is zeroed before the module is executed, and stays null
// when that fails early.
struct ModuleSlot {
  ModuleState* state;
};

ModuleSlot* SlotOf(PyObject* module) { return static_cast<ModuleSlot*>(PyModule_GetState(module)); }

// Ends what native threads still do for this interpreter, while Python can still run.
Ref CloseHub(PyObject* module, PyObject*) {
  StateOf(module)->hub->Close();
  return capi::None();
}
Ref ForgetOtherThreads(PyObject* module, PyObject*) {
  StateOf(module)->hub->ForgetOtherThreads();
  return capi::None();
}

Ref EndAllThreads(PyObject*, PyObject*) {
  capi::Hub::EndAllThreads();
  return capi::None();
}

PyMethodDef end_all_threads = {"_end_all_threads", capi::Method<&EndAllThreads>(), METH_NOARGS,
                               nullptr};

// Called by the main thread of the main interpreter.
int RegisterEndAllThreads(void*) {
  const Ref atexit = Ref::Steal(PyImport_ImportModule("atexit"));
  const Ref function = Ref::Steal(PyCFunction_New(&end_all_threads, nullptr));
  const bool ok = atexit && function;
  const Ref done =
      Ref::Steal(ok ? PyObject_CallMethod(atexit.get(), "register", "O", function.get()) : nullptr);
  if (!done) PyErr_WriteUnraisable(nullptr);
  return 0;
}

// Once per process; whichever interpreter imports this first.
void EnsureEndOfAllThreads() {
  static std::atomic<bool> registered{false};
  if (registered.exchange(true)) return;
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) {
    RegisterEndAllThreads(nullptr);
  } else if (Py_AddPendingCall(&RegisterEndAllThreads, nullptr) < 0) {
    registered.store(false);  // too many are pending: the next import tries again
  }
}

PyMethodDef lifecycle_functions[] = {
    {"_close_hub", capi::Method<&CloseHub>(), METH_NOARGS, nullptr},
    {"_forget_other_threads", capi::Method<&ForgetOtherThreads>(), METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

void RegisterHooks(PyObject* module) {
  const Ref atexit = Check(PyImport_ImportModule("atexit"));
  const Ref close = Check(PyObject_GetAttrString(module, "_close_hub"));
  Check(PyObject_CallMethod(atexit.get(), "register", "O", close.get()));
  EnsureEndOfAllThreads();
  const Ref os = Check(PyImport_ImportModule("os"));
  const Ref forget = Check(PyObject_GetAttrString(module, "_forget_other_threads"));
  const Ref method = Check(PyObject_GetAttrString(os.get(), "register_at_fork"));
  const Ref none = Check(PyTuple_New(0));
  const Ref hooks = Check(Py_BuildValue("{sO}", "after_in_child", forget.get()));
  Check(PyObject_Call(method.get(), none.get(), hooks.get()));
}

int Execute(PyObject* module) {
  auto* state = new ModuleState;
  SlotOf(module)->state = state;
  state->hub = capi::Hub::ForCurrentInterpreter();
  state->dtype_type = MakeType(module, &dtype_spec, true);
  state->lease_type = MakeType(module, &lease_spec, false);
  state->iterator_type = MakeType(module, &iterator_spec, false);
  state->operation_type = MakeType(module, &operation_spec, true);
  state->array_type = MakeArrayType(module);
  state->expression_type = MakeExpressionType(module);
  state->compiled_type = MakeType(module, &compiled_spec, true);
  state->workers_type = MakeType(module, &workers_spec, true);
  AddDTypes(module, state);
  AddOperations(module, state);
  for (PyMethodDef* table :
       {create_functions, cast_functions, statistics_functions, group_functions, order_functions,
        compute_functions, compiled_functions, expression_functions, file_functions,
        shared_functions, system_functions, pickle_functions, worker_functions,
        lifecycle_functions}) {
    capi::CheckStatus(PyModule_AddFunctions(module, table));
  }
  AddPipeline(module, state);
  capi::CheckStatus(PyModule_AddStringConstant(module, "__version__", SPANFLOW_VERSION));
  RegisterHooks(module);
  return 0;
}

int Traverse(PyObject* module, visitproc visit, void* arg) {
  ModuleState* state = SlotOf(module)->state;
  if (state == nullptr) return 0;
  return state->ForEach([&](PyObject* object) {
    Py_VISIT(object);
    return 0;
  });
}

int Clear(PyObject* module) {
  ModuleState* state = SlotOf(module)->state;
  if (state == nullptr) return 0;
  return state->ForEach([](PyObject*& object) {
    Py_CLEAR(object);
    return 0;
  });
}

void Free(void* module) {
  auto* object = static_cast<PyObject*>(module);
  (void)Clear(object);
  delete SlotOf(object)->state;
  SlotOf(object)->state = nullptr;
}

PyModuleDef_Slot slots[] = {{Py_mod_exec, capi::Slot<&Execute>()},
#if PY_VERSION_HEX >= 0x030C0000
                            {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
                            {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
                            {0, nullptr}};

}  // namespace

PyModuleDef module_def = {PyModuleDef_HEAD_INIT,
                          "spanflow._core",
                          "The native core of spanflow.",
                          sizeof(ModuleSlot),
                          nullptr,
                          slots,
                          &Traverse,
                          &Clear,
                          &Free};

ModuleState* StateOf(PyObject* module) { return SlotOf(module)->state; }

ModuleState* StateOf(PyTypeObject* type) {
  return StateOf(Check(Py_XNewRef(PyType_GetModuleByDef(type, &module_def))).get());
}

PyTypeObject* MakeType(PyObject* module, PyType_Spec* spec, bool add) {
  Ref type = Check(PyType_FromModuleAndSpec(module, spec, nullptr));
  auto* result = reinterpret_cast<PyTypeObject*>(type.get());
  if (add) capi::CheckStatus(PyModule_AddType(module, result));
  type.release();
  return result;
}

}  // namespace spanflow::bindings

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&spanflow::bindings::module_def); }
