# What `find_package(Zephyr)` gives an application, reduced to what this project's templates use,
# on this machine: the console is standard input and output.  Options come as -DCONFIG_...=y.
project(Zephyr-Kernel LANGUAGES C)
set(CMAKE_C_STANDARD 11)
add_compile_options(-Wall -Wextra -Werror)
add_executable(app ${CMAKE_CURRENT_LIST_DIR}/console.c)
target_include_directories(app PRIVATE ${CMAKE_CURRENT_LIST_DIR}/include)

macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  target_link_libraries(app PRIVATE ${name} m)
endmacro()

function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()

function(zephyr_library_compile_definitions)
  target_compile_definitions(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()

function(zephyr_library_compile_options_ifdef feature)
  if(${feature})
    target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
  endif()
endfunction()

function(zephyr_include_directories)
  target_include_directories(app PRIVATE ${ARGV})
  target_include_directories(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()

foreach(module ${EXTRA_ZEPHYR_MODULES})
  if(NOT EXISTS ${module}/zephyr/module.yml)
    message(FATAL_ERROR "${module} is no module")
  endif()
  get_filename_component(name ${module} NAME)
  add_subdirectory(${module} ${CMAKE_BINARY_DIR}/modules/${name})
endforeach()
