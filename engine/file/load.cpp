// SPDX-License-Identifier: Apache-2.0
#include <new>

#include "base/error.h"
#include "file/header.h"
#include "file/limits.h"
#include "file/mapped_file.h"
#include "file/model.h"

namespace fewbins {
namespace {

Model read_model(std::span<const std::byte> bytes, std::string source, std::shared_ptr<const void> owner) {
  Container container = read_container(bytes);
  Model model;
  model.source = std::move(source);
  model.budget = MemoryBudget(
      ErrorCode::model_file, kFreeLoadBytes + kLoadBytesPerByte * bytes.size(),
      std::to_string(kFreeLoadBytes) + " and " + std::to_string(kLoadBytesPerByte) + " for each byte of the file");
  model.owners.push_back(std::move(owner));
  model.metadata = std::move(container.metadata);
  const boost::json::value header = parse_header(model.metadata);
  const Json root(header, "the header");
  read_description(root, model);
  read_constants(root.at("constants"), container, model);
  read_graph(root.at("graph"), model.constants.at("__scales").as<float>(), model);
  check_graph(model);
  check_integers(model);
  return model;
}

}  // namespace

Model load_model(std::span<const std::byte> bytes, std::string source, std::shared_ptr<const void> owner) {
  const std::string name = source;
  try {
    return read_model(bytes, std::move(source), std::move(owner));
  } catch (const Error& error) {
    fail(error.code(), name, ": ", error.what());
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::out_of_memory, name, ": there is not enough memory to load the model");
  }
}

Model load_model_file(const std::string& path) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  return load_model(file->bytes(), path, file);
}

}  // namespace fewbins
