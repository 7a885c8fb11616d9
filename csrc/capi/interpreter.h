// Interpreter: a sub-interpreter with a GIL of its own, made and ended by one native thread.
//
// Owns: the interpreter. Threads: made, used and destroyed by the same thread.
// Attached: the thread is detached from everything before and after each call, and attached to the
// new interpreter inside of an Attach scope.
// Fails: kSupported is false before Python 3.12; valid() is false, and why() says why, when CPython
// could not make one.
#pragma once

#include <string>

#include "capi/attach.h"

namespace spanflow::capi {

class Interpreter {
 public:
  static constexpr bool kSupported = PY_VERSION_HEX >= 0x030C0000;

  // `creator` is the thread's own state in the interpreter that it is made from.
  explicit Interpreter(PythonThread& creator);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  bool valid() const { return state_ != nullptr; }
  const std::string& why() const { return why_; }

  class Attach {
   public:
    explicit Attach(Interpreter& interpreter) { RestoreThread(interpreter.state_); }
    ~Attach() { SaveThread(); }
    Attach(const Attach&) = delete;
    Attach& operator=(const Attach&) = delete;
  };

 private:
  PyThreadState* state_ = nullptr;
  std::string why_;
};

}  // namespace spanflow::capi
