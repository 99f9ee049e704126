/** Whether this process has processor time to spare. */
import { performance } from 'node:perf_hooks';

const sampleMs = 50;
/** Above it, gathering saves a ninth of the processor at 32 connections; at half load an answer comes some ms later for it. */
const busyAbove = 0.45;

let last = performance.eventLoopUtilization();
let sampledAt = performance.now();
let busy = false;

/** Whether the event loop worked most of the last moments, and seldom waited. @param now `performance.now()` */
export function isBusy(now: number): boolean {
  if (now - sampledAt < sampleMs) return busy;
  const current = performance.eventLoopUtilization();
  busy = performance.eventLoopUtilization(current, last).utilization > busyAbove;
  last = current;
  sampledAt = now;
  return busy;
}
