// FunctionRef: a callable passed down a call, without owning or copying it.
//
// Owns: nothing; the callable must outlive every call through the reference.
// Threads: as safe as the callable itself. Attached: not needed.
// Fails: passes on what the callable throws.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace spanflow::runtime {

template <class Signature>
class FunctionRef;

template <class R, class... A>
class FunctionRef<R(A...)> {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, FunctionRef> && std::invocable<F&, A...>)
      FunctionRef(F&& callable)  // NOLINT: converts like the callable it stands for
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, A... arguments) -> R {
          auto& target = *static_cast<std::remove_reference_t<F>*>(object);
          return target(std::forward<A>(arguments)...);
        }) {}

  R operator()(A... arguments) const { return call_(object_, std::forward<A>(arguments)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

}  // namespace spanflow::runtime
