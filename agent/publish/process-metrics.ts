/** The process as metrics, by the names that Prometheus' own clients use. */
import type { Usage } from '../../drivers/process/usage.ts'
import type { Family } from './open-metrics-text.ts'
import { decimalOf } from './registers.ts'

export function processFamilies({ residentBytes, cpuMicroseconds, openDescriptors, startedMs }: Usage): Family[] {
  const one = (value: number, scaler = 0) => [{ labels: {}, value: decimalOf({ value: BigInt(value), scaler }) }]
  return [
    {
      ...{ name: 'process_cpu_seconds', type: 'counter', unit: 'seconds', help: 'User and system processor time.' },
      samples: one(cpuMicroseconds, -6),
    },
    {
      ...{ name: 'process_resident_memory_bytes', type: 'gauge', unit: 'bytes', help: 'Resident memory.' },
      samples: one(residentBytes),
    },
    {
      ...{ name: 'process_open_fds', type: 'gauge', help: 'Open file descriptors.' },
      samples: openDescriptors === undefined ? [] : one(openDescriptors),
    },
    {
      ...{ name: 'process_start_time_seconds', type: 'gauge', unit: 'seconds', help: 'When the process started.' },
      samples: one(startedMs, -3),
    },
  ]
}
