#pragma once
/*
 * Stands in front of every function here: nothing, unless the build says in which section they lie,
 *
 *     -DTVMGEN_HOT='__attribute__((section(".itcm")))'
 */
#ifndef TVMGEN_HOT
#define TVMGEN_HOT
#endif
