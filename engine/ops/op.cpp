// SPDX-License-Identifier: Apache-2.0
#include "ops/op.h"

namespace fewbins {

TensorDesc OpContext::desc(std::string_view tensor) const {
  if (const Constant* constant = model.find_constant(tensor))
    return {constant->dtype, constant->dims, constant->affine};
  const TensorInfo* info = model.find_tensor(tensor);
  if (info == nullptr) fail(ErrorCode::model_file, "tensor '", tensor, "' is not in the model");
  TensorDesc desc{info->dtype, {}, info->affine};
  desc.dims.rank = static_cast<int>(info->shape.size());
  for (int axis = 0; axis < desc.dims.rank; ++axis) desc.dims[axis] = info->shape[static_cast<size_t>(axis)].size;
  return desc;
}

std::unique_ptr<OpState> Op::prepare(const PrepareArgs& /*args*/) const { return std::make_unique<OpState>(); }

}  // namespace fewbins
