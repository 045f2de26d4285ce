/* Random numbers from a seed, the same on every machine: splitmix64 (Steele, Lea, Flood 2014). */
#ifndef PTQI_RANDOM_H
#define PTQI_RANDOM_H

#include <stdint.h>
#include "compiler.h"

PTQI_INLINE uint64_t ptqi_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
