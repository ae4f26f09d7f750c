/** Public test data that stands beside the checkout: read in place where present, else the tests that want it skip. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../shared/data/', import.meta.url))

/** A skip reason when the public data set is not there. */
export const noSharedData: string | undefined = existsSync(root) ? undefined : 'no-shared-data'

export const sharedPath = (path: string): string => root + path
export const sharedBytes = (path: string): Uint8Array => new Uint8Array(readFileSync(root + path))
export const sharedText = (path: string): string => readFileSync(root + path, 'utf8')
