-- For wrk: sends the bodies of a file, one a line, in turn, and prints what came of it as a line of JSON.
-- Its arguments are the file and the content type. Every request is made before the first is sent.

local requests, n_sent = {}, 0

function init(arguments)
    for body in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = arguments[2] }, body)
    end
end

function request()
    n_sent = n_sent + 1
    return requests[(n_sent - 1) % #requests + 1]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"duration_us": %d, "n_requests": %d, "p50_us": %d, "p99_us": %d, '
            .. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
        summary.duration, summary.requests, latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout
    ))
end
