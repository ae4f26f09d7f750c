/** The fingerprint of the software that measures, which stands in every context record. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
/**
 * What can change a reading: from the wire's bytes to the signature. Pages, simulators and the bench cannot. A package has all of
 * it bundled into the last.
 */
const FLOORS = ['protocol', 'drivers', 'agent'].filter(floor => existsSync(root + floor))

/** SHA-256 over the names and contents of every program file of the three floors, in the order of their names. */
export function hashSoftware(): Uint8Array {
  const hash = createHash('sha256')
  for (const floor of FLOORS) {
    const files = readdirSync(`${root}${floor}`, { recursive: true, encoding: 'utf8' })
      .filter(file => /\.(ts|js)$/.test(file))
      .sort()
    for (const file of files) {
      const content = readFileSync(`${root}${floor}/${file}`)
      hash.update(`${floor}/${file}\0${content.length}\0`).update(content)
    }
  }
  return new Uint8Array(hash.digest())
}
