%% erlang_side.erl - Erlang's side of the comparison: a process that echoes, on another node of this machine (TCP over loopback,
%% as between any two nodes), and in the same node. Prints a JSON object a line.
-module(erlang_side).
-export([main/0, echo/0]).

-define(BODY, <<0:512>>).

echo() ->
    receive
        {From, Tag, Data} ->
            From ! {Tag, Data},
            echo()
    end.

main() ->
    Quick = lists:member("--quick", init:get_plain_arguments()),
    Times = fun(Count) when Quick -> max(10, Count div 50); (Count) -> Count end,
    Begin = now_s(),
    {ok, Peer, Node} = peer:start(#{name => troupe_rival, host => "127.0.0.1", longnames => true,
                                    args => ["-setcookie", atom_to_list(erlang:get_cookie()),
                                             "-pa", filename:dirname(code:which(?MODULE))]}),
    Echo = spawn(Node, ?MODULE, echo, []),
    call(Echo),
    report("start", "ms", (now_s() - Begin) * 1.0e3),
    one_by_one("call.sync", Echo, Times(5000)),
    report("call.async", "/s", rate_of(Echo, 1000, Times(200000))),
    Points = [[Window, rate_of(Echo, Window, Times(20000))] || Window <- [1, 4, 16, 64, 256, 1000]],
    io:format("{\"case\": \"outstanding\", \"unit\": \"/s\", \"points\": ~s}~n", [pairs(Points)]),
    Inside = spawn(?MODULE, echo, []),
    one_by_one("call.sync.inside", Inside, Times(20000)),
    report("call.async.inside", "/s", rate_of(Inside, 1000, Times(500000))),
    Spawns = Times(100000),
    Before = now_s(),
    [spawn(fun() -> ok end) || _ <- lists:seq(1, Spawns)],
    report("spawn.light", "/s", Spawns / (now_s() - Before)),
    peer:stop(Peer),
    halt(0).

now_s() -> erlang:monotonic_time(nanosecond) / 1.0e9.

call(Echo) ->
    Tag = make_ref(),
    Echo ! {self(), Tag, ?BODY},
    receive {Tag, ?BODY} -> ok end.

one_by_one(Case, Echo, Count) ->
    Taken = lists:sort([begin Before = now_s(), call(Echo), (now_s() - Before) * 1.0e6 end || _ <- lists:seq(1, Count)]),
    Sorted = list_to_tuple(Taken),
    At = fun(PerMille) -> element(1 + (Count - 1) * PerMille div 1000, Sorted) end,
    Quantiles = [[P, At(P)] || P <- [1, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999]],
    io:format("{\"case\": \"~s\", \"unit\": \"us\", \"value\": ~.6g, \"quantiles\": ~s}~n", [Case, At(500), pairs(Quantiles)]).

%% Messages come back in order: the answer to the oldest is taken, then the next is sent.
rate_of(Echo, Window, Count) ->
    Before = now_s(),
    [Echo ! {self(), Number, ?BODY} || Number <- lists:seq(1, Window)],
    go_round(Echo, 1, Window, Count),
    Count / (now_s() - Before).

go_round(_, Number, _, Count) when Number > Count -> ok;
go_round(Echo, Number, Window, Count) ->
    receive {Number, ?BODY} -> ok end,
    Next = Number + Window,
    if Next =< Count -> Echo ! {self(), Next, ?BODY}; true -> ok end,
    go_round(Echo, Number + 1, Window, Count).

report(Case, Unit, Value) ->
    io:format("{\"case\": \"~s\", \"unit\": \"~s\", \"value\": ~.6g}~n", [Case, Unit, Value]).

pairs(Pairs) ->
    ["[", lists:join(", ", [io_lib:format("[~w, ~.6g]", [X, Y * 1.0]) || [X, Y] <- Pairs]), "]"].
