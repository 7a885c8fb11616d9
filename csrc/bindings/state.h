// ModuleState: everything that one import of spanflow._core owns. There is one per interpreter; no
// Python object lives in a C++ static.
//
// Owns: the heap types, the dtype singletons, the hub of this interpreter.
// Threads: written only while the module is executed, read-only afterwards.
// Attached: always. Fails: StateOf(type) raises TypeError for a type that is not of this module.
#pragma once

#include <array>
#include <memory>

#include "base/dtype.h"
#include "capi/hub.h"
#include "capi/ref.h"

namespace spanflow::bindings {

struct ModuleState {
  PyTypeObject* array_type = nullptr;
  PyTypeObject* iterator_type = nullptr;
  PyTypeObject* dtype_type = nullptr;
  PyTypeObject* lease_type = nullptr;
  PyTypeObject* operation_type = nullptr;
  PyTypeObject* run_type = nullptr;
  PyTypeObject* calls_type = nullptr;
  PyTypeObject* expression_type = nullptr;
  PyTypeObject* compiled_type = nullptr;
  PyTypeObject* workers_type = nullptr;
  PyObject* pipeline_error = nullptr;
  std::array<PyObject*, base::kNumKinds> dtypes{};  // native scalars, "sf.float32" and friends
  std::shared_ptr<capi::Hub> hub;

  // Visits every Python object above.
  template <class Visit>
  int ForEach(Visit&& visit) {
    PyObject** const objects[] = {reinterpret_cast<PyObject**>(&array_type),
                                  reinterpret_cast<PyObject**>(&iterator_type),
                                  reinterpret_cast<PyObject**>(&dtype_type),
                                  reinterpret_cast<PyObject**>(&lease_type),
                                  reinterpret_cast<PyObject**>(&operation_type),
                                  reinterpret_cast<PyObject**>(&run_type),
                                  reinterpret_cast<PyObject**>(&calls_type),
                                  reinterpret_cast<PyObject**>(&expression_type),
                                  reinterpret_cast<PyObject**>(&compiled_type),
                                  reinterpret_cast<PyObject**>(&workers_type),
                                  &pipeline_error};
    for (PyObject** object : objects) {
      if (const int result = visit(*object); result != 0) return result;
    }
    for (PyObject*& dtype : dtypes) {
      if (const int result = visit(dtype); result != 0) return result;
    }
    return 0;
  }
};

extern PyModuleDef module_def;

// Of the module object itself (the `self` of module functions).
ModuleState* StateOf(PyObject* module);
// Of a type of this module or a Python subclass of one.
ModuleState* StateOf(PyTypeObject* type);

// A heap type that instances cannot change, added to `module` under its short name when `add`.
PyTypeObject* MakeType(PyObject* module, PyType_Spec* spec, bool add);

}  // namespace spanflow::bindings
