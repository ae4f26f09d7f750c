/** Any value that canonical CBOR can say. */
import type { Cbor } from '../../protocol/cbor.ts'
import { fc } from '../property.ts'

export const { value: anyCbor } = fc.letrec<{ value: Cbor; map: ReadonlyMap<number | string, Cbor> }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.maxSafeInteger().map(n => (Object.is(n, -0) ? 0 : n)),
    fc.integer({ min: -300, max: 300 }),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }).map(bytes => Uint8Array.from(bytes)),
    fc.array(tie('value'), { maxLength: 5 }),
    tie('map'),
  ),
  map: fc
    .array(fc.tuple(fc.oneof(fc.integer(), fc.string({ maxLength: 3, unit: 'binary' })), tie('value')), {
      maxLength: 30,
    })
    .map(entries => new Map(entries)),
}))
