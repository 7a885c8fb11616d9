// Entry<&Function>: the C function that CPython calls for a C++ function that may throw.
//
// Owns: nothing. Threads: as the wrapped function. Attached: always.
// Fails: a C++ exception becomes a Python exception and the C result that announces it (null, -1).
#pragma once

#include <type_traits>

#include "capi/error.h"

namespace spanflow::capi {

template <auto kFunction, class Signature>
struct EntryOf;

template <auto kFunction, class R, class... A>
struct EntryOf<kFunction, R (*)(A...)> {
  using CResult = std::conditional_t<std::is_same_v<R, Ref>, PyObject*, R>;

  static CResult Call(A... arguments) noexcept {
    try {
      if constexpr (std::is_same_v<R, Ref>) {
        return kFunction(arguments...).release();
      } else {
        return kFunction(arguments...);
      }
    } catch (...) {
      SetErrorFromCurrentException();
      if constexpr (std::is_pointer_v<CResult>) {
        return nullptr;
      } else if constexpr (!std::is_void_v<CResult>) {
        return static_cast<CResult>(-1);
      }
    }
  }
};

template <auto kFunction>
inline constexpr auto Entry = &EntryOf<kFunction, decltype(kFunction)>::Call;

// The same for method and slot tables, which want one type for every signature.
template <auto kFunction>
PyCFunction Method() {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Entry<kFunction>));
}
template <auto kFunction>
void* Slot() {
  return reinterpret_cast<void*>(Entry<kFunction>);
}

}  // namespace spanflow::capi
