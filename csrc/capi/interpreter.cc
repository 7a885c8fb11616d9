#include "capi/interpreter.h"

namespace spanflow::capi {

#if PY_VERSION_HEX >= 0x030C0000
Interpreter::Interpreter(PythonThread& creator) {
  const AttachScope attached(creator);
  PyThreadState* const own = AttachedStateOrNull();
  PyInterpreterConfig config{};
  config.use_main_obmalloc = 0;
  config.allow_fork = 0;
  config.allow_exec = 0;
  config.allow_threads = 1;
  config.allow_daemon_threads = 0;
  config.check_multi_interp_extensions = 1;
  config.gil = PyInterpreterConfig_OWN_GIL;
  const PyStatus status = Py_NewInterpreterFromConfig(&state_, &config);
  if (PyStatus_Exception(status) || state_ == nullptr) {
    state_ = nullptr;
    why_ = status.err_msg != nullptr ? status.err_msg : "no reason was given";
  }
  // The new interpreter is the one that is attached; `attached` wants its own back.
  PyThreadState_Swap(own);
}

Interpreter::~Interpreter() {
  if (state_ == nullptr) return;
  RestoreThread(state_);
  Py_EndInterpreter(state_);  // nothing is attached afterwards
  MarkDetached(true);
}
#else
Interpreter::Interpreter(PythonThread&) : why_("Python 3.12 is the first to have them") {}
Interpreter::~Interpreter() = default;
#endif

}  // namespace spanflow::capi
