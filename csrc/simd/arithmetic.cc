// The kernels of the arithmetic operations, whose functors are in arithmetic-inl.h.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/arithmetic.cc"
#include "hwy/foreach_target.h"
#include "simd/arithmetic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillRow<Name, Op::k##Name>(tables);
  SPANFLOW_ARITHMETIC(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Arithmetic)
#endif
