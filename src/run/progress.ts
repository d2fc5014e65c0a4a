/** Milliseconds. */
const signOfLife = 5_000

/** Calls back every few seconds until the work is done. */
export async function withSignsOfLife<T>(
  work: Promise<T>,
  report: (elapsed: number) => void
): Promise<T> {
  const start = performance.now()
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - start) / 1_000)
    report(seconds * 1_000)
  }, signOfLife)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
