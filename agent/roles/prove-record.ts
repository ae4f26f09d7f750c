/** A record of the ledger's state as the light client proves it. */
import { utf8 } from '../../protocol/bytes.ts'
import type { Table } from '../../protocol/ledger/table.ts'
import { decodeAs } from '../../protocol/record.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { LightAgent } from '../light/run.ts'

/** A group of a hundred members is the largest of all that parts ask for. */
const MAX_RECORD_BYTES = 16 * 1024

/** What stands under an id now; undefined where it is proven that nothing does. */
export async function proveRecord<T>(
  light: Pick<LightAgent, 'prove'>,
  table: Table<T>,
  id: string,
): Promise<Result<T | undefined>> {
  const proven = await light.prove(utf8(table.prefix + id))
  if (!proven.ok) return proven
  const { value } = proven.value
  return value === undefined ? ok(undefined) : decodeAs(table.codec, value, table.prefix, MAX_RECORD_BYTES)
}
